package service

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

func TestStringsAreThoseOfEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "string")
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); len(got) < len(want) || strings.ReplaceAll(got, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func TestNumbersHaveThreeDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float32Range(-1000, 1000).Draw(t, "x")
		got, err := strconv.ParseFloat(string(appendFloat(nil, x)), 64)
		if err != nil || math.Abs(got-float64(x)) > 0.00051 {
			t.Fatalf("%v became %v", x, got)
		}
	})
	for x, want := range map[float32]string{0: "0", 1: "1", -0.5: "-0.5", 0.25: "0.25", 0.125: "0.125", 2.0004: "2", float32(math.NaN()): "0", float32(math.Inf(1)): "0"} {
		if got := string(appendFloat(nil, x)); got != want {
			t.Errorf("%v became %s", x, got)
		}
	}
}

func TestProblemsAreJSON(t *testing.T) {
	p := &Problem{Code: "too_late", Message: "a \"quoted\"\nmessage", Retryable: true, RetryAfter: 1500 * time.Microsecond, Function: "f", Cause: "hung"}
	a := parse(t, appendRefusal(nil, "id\x00", "default", 7, p))
	if a.ID != "id\x00" || a.Workflow != "default" || a.Line != 7 || a.Error.Message != p.Message || a.Error.RetryAfterMs != 2 || a.Error.Function != "f" || a.Error.Cause != "hung" {
		t.Errorf("%+v %+v", a, a.Error)
	}
	for code, kind := range problems {
		if problem(code, "x").Retryable != kind.retryable || kind.status < 400 || kind.grpc == 0 {
			t.Errorf("%s: %+v", code, kind)
		}
	}
}

func TestHex(t *testing.T) {
	if got := string(appendHex(nil, 0xab)); got != "00000000000000ab" {
		t.Error(got)
	}
}

func TestEveryTagIsJSON(t *testing.T) {
	for i := range document.Tags {
		var s string
		if err := json.Unmarshal([]byte(`"`+document.Tag(i).String()+`"`), &s); err != nil {
			t.Error(err)
		}
	}
}
