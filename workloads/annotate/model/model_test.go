package model

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
	"github.com/starling-vr/starling/workloads/annotate/model/container"
	"github.com/starling-vr/starling/workloads/annotate/model/embedding"
	"github.com/starling-vr/starling/workloads/annotate/model/topic"
	"github.com/starling-vr/starling/workloads/annotate/text"
)

const mostBytes = 16 << 20

func shipped(t testing.TB) *Models {
	t.Helper()
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tokenised(s string) *document.Document {
	d := &document.Document{Source: []byte(s)}
	text.Clean(d)
	text.Tokenise(d)
	return d
}

// annotate calls everything in the order of a workflow.
func annotate(t testing.TB, m *Models, d *document.Document) {
	t.Helper()
	m.Assign(d)
	for _, do := range []func(*document.Document) error{
		func(d *document.Document) error { return m.Tag(d, d.Sentences) },
		func(d *document.Document) error { return m.Entities(d, d.Sentences) },
		m.Sentiment, m.Embed,
	} {
		if err := do(d); err != nil {
			t.Fatal(err)
		}
	}
}

func TestModelsThatComeWithTheProgram(t *testing.T) {
	if len(embedded) > mostBytes {
		t.Errorf("the models have %d bytes", len(embedded))
	}
	m := shipped(t)
	d := tokenised("Angela Merkel flew from Berlin to London. The talks at Microsoft were a dreadful, boring waste of time.")
	annotate(t, m, d)
	found := map[string]document.EntityKind{}
	for _, e := range d.Entities {
		found[string(d.Bytes(e.Start, e.End))] = e.Kind
	}
	for name, kind := range map[string]document.EntityKind{
		"Angela Merkel": document.Person, "Berlin": document.Location, "London": document.Location, "Microsoft": document.Organization,
	} {
		if found[name] != kind {
			t.Errorf("%s is %v", name, found[name])
		}
	}
	for i, want := range []document.Tag{document.TagNNP, document.TagNNP, document.TagVBD, document.TagIN, document.TagNNP} {
		if d.Tokens[i].Tag != want {
			t.Errorf("%s is tagged %v", d.TokenBytes(i), d.Tokens[i].Tag)
		}
	}
	if d.Sentiment.Score >= 0 {
		t.Errorf("sentiment %+v", d.Sentiment)
	}
}

func TestTopicsOfSeedWords(t *testing.T) {
	m := shipped(t)
	topics, err := topic.New(m.Vectors, []topic.Definition{
		{Name: "medicine", Words: []string{"hospital", "doctor", "patient", "disease"}},
		{Name: "football", Words: []string{"football", "goal", "league", "striker"}},
		{Name: "computing", Words: []string{"software", "computer", "programmer", "server"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]string{
		"medicine":  "The surgeon examined the wound while nurses prepared the vaccine for infected children.",
		"football":  "The midfielder scored twice and the keeper saved a penalty before the club won the cup.",
		"computing": "Engineers patched the operating system and moved the database to another machine.",
	} {
		d := tokenised(s)
		annotate(t, m, d)
		if topics.Assign(d); len(d.Topics) == 0 || d.Topics[0].Name != want {
			t.Errorf("%q is about %+v", s, d.Topics)
		}
	}
}

func TestOtherLanguagesAreDeclined(t *testing.T) {
	m := shipped(t)
	d := tokenised("Der Hund schläft in Berlin.")
	d.Language = document.Language{Code: "de", Confidence: 1}
	m.Assign(d)
	for _, do := range []func(*document.Document) error{
		func(d *document.Document) error { return m.Tag(d, d.Sentences) },
		func(d *document.Document) error { return m.Entities(d, d.Sentences) },
		m.Sentiment, m.Embed,
	} {
		var declined *UnsupportedLanguageError
		if err := do(d); !errors.As(err, &declined) {
			t.Errorf("error %v", err)
		}
	}
	if d.Tokens[0].Tag != document.NoTag || len(d.Entities) > 0 || d.Sentiment.Known || len(d.Embedding) > 0 {
		t.Error("something was written")
	}
}

// checkAnnotated holds for every text.
func checkAnnotated(t interface{ Fatalf(string, ...any) }, d *document.Document) {
	for i := range d.Tokens {
		if tag := d.Tokens[i].Tag; tag == document.NoTag || int(tag) >= document.Tags {
			t.Fatalf("token %d has tag %d", i, tag)
		}
	}
	end := uint32(0)
	for _, e := range d.Entities {
		if e.Start < end || e.End <= e.Start || int(e.End) > len(d.Tokens) || e.Kind < document.Person || e.Kind > document.Location {
			t.Fatalf("entity %+v after %d, of %d tokens", e, end, len(d.Tokens))
		}
		for i := e.Start; i < e.End; i++ {
			if k := d.Tokens[i].Entity; k.Kind() != e.Kind || k.Begins() != (i == e.Start) {
				t.Fatalf("token %d of %+v is marked %d", i, e, k)
			}
		}
		end = e.End
	}
	if s := d.Sentiment.Score; !(s >= -1 && s <= 1) {
		t.Fatalf("sentiment %v", s)
	}
	if n := len(d.Embedding); n != 0 && (n != embedding.Dimensions || math.Abs(float64(embedding.Cosine(d.Embedding, d.Embedding))-1) > 1e-4) {
		t.Fatalf("an embedding of %d dimensions", n)
	}
}

func TestAnyWordsAreAnnotated(t *testing.T) {
	m := shipped(t)
	rapid.Check(t, func(r *rapid.T) {
		d := &document.Document{}
		for range rapid.IntRange(0, 4).Draw(r, "sentences") {
			d.AppendWords(rapid.SliceOfN(rapid.String(), 1, 30).Draw(r, "words"))
		}
		annotate(t, m, d)
		checkAnnotated(r, d)
	})
}

func FuzzAnnotate(f *testing.F) {
	for _, s := range []string{"", "Jane lives in Oslo.", "日本語のテキスト。", "\xff\xfe\x00", "<p>AT&amp;T</p>", "מזל טוב \u200fשלום", "don’t “quote” — me…"} {
		f.Add(s)
	}
	m := shipped(f)
	f.Fuzz(func(t *testing.T, s string) {
		d := tokenised(s)
		annotate(t, m, d)
		checkAnnotated(t, d)
	})
}

func TestWarmModelsDoNotAllocate(t *testing.T) {
	m := shipped(t)
	d := tokenised(article)
	annotate(t, m, d)
	if n := testing.AllocsPerRun(20, func() { annotate(t, m, d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	var corrupt *container.CorruptError
	var version *container.VersionError
	for _, n := range []int{0, 7, 15, 100, len(embedded) / 2, len(embedded) - 1} {
		if _, err := Open(embedded[:n]); !errors.As(err, &corrupt) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	changed := bytes.Clone(embedded)
	changed[8]++
	if _, err := Open(changed); !errors.As(err, &version) {
		t.Errorf("another version: %v", err)
	}
	for _, at := range []int{20, 16 + 32, len(embedded) / 3, len(embedded) / 2, len(embedded) - 1} {
		changed := bytes.Clone(embedded)
		changed[at] ^= 0x10
		if _, err := Open(changed); !errors.As(err, &corrupt) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
}

func TestSectionsThatDoNotFit(t *testing.T) {
	sections, err := container.Decode(embedded, Version)
	if err != nil {
		t.Fatal(err)
	}
	for name := range sections {
		var changed []container.Section
		for n, b := range sections {
			if n == name {
				b = b[:len(b)/2&^3]
				b = b[:max(0, len(b)-4)]
			}
			changed = append(changed, container.Section{Name: n, Bytes: b})
		}
		var corrupt *container.CorruptError
		if _, err := Open(container.Encode(Version, changed)); !errors.As(err, &corrupt) {
			t.Errorf("%s cut: %v", name, err)
		}
	}
}

func TestEncodeIsTheInverseOfOpen(t *testing.T) {
	sections, err := container.Decode(embedded, Version)
	if err != nil {
		t.Fatal(err)
	}
	w, err := decode(sections)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.Encode(), embedded) {
		t.Error("the file that is read is not the one that is written")
	}
}
