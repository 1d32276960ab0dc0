package service

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/starling-vr/starling/invoke/workflow"
)

// Problem says why a document was not annotated, or not as required. It is what
// docs/reference/annotate-api.md calls an error.
type Problem struct {
	Code       string
	Message    string
	Retryable  bool
	RetryAfter time.Duration
	Function   string // that failed
	Cause      string // how
}

func (p *Problem) Error() string { return p.Code + ": " + p.Message }

// kindOfProblem says how HTTP and gRPC tell a code.
type kindOfProblem struct {
	status    int
	grpc      codes.Code
	retryable bool
}

var problems = map[string]kindOfProblem{
	"invalid":                {http.StatusBadRequest, codes.InvalidArgument, false},
	"unauthorized":           {http.StatusUnauthorized, codes.Unauthenticated, false},
	"forbidden":              {http.StatusForbidden, codes.PermissionDenied, false},
	"not_found":              {http.StatusNotFound, codes.NotFound, false},
	"method_not_allowed":     {http.StatusMethodNotAllowed, codes.Unimplemented, false},
	"too_large":              {http.StatusRequestEntityTooLarge, codes.OutOfRange, false},
	"unsupported_media_type": {http.StatusUnsupportedMediaType, codes.InvalidArgument, false},
	"too_late":               {http.StatusTooManyRequests, codes.ResourceExhausted, true},
	"queue_full":             {http.StatusTooManyRequests, codes.ResourceExhausted, true},
	"sender_over_share":      {http.StatusTooManyRequests, codes.ResourceExhausted, true},
	"over_age":               {http.StatusTooManyRequests, codes.ResourceExhausted, true},
	"too_many_streams":       {http.StatusTooManyRequests, codes.ResourceExhausted, true},
	"function_failed":        {http.StatusInternalServerError, codes.Internal, false},
	"closed":                 {http.StatusServiceUnavailable, codes.Unavailable, true},
}

func problem(code, message string) *Problem {
	return &Problem{Code: code, Message: message, Retryable: problems[code].retryable}
}

func invalid(err error) *Problem { return problem("invalid", err.Error()) }

// problemOf translates what the workflow says; nil stays nil.
func problemOf(err error) *Problem {
	var refusal *workflow.Refusal
	var failed *workflow.FunctionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		p := problem(refusal.Reason.String(), refusal.Error())
		p.Retryable, p.RetryAfter = refusal.Retryable, refusal.RetryAfter
		return p
	case errors.As(err, &failed):
		p := problem("function_failed", failed.Error())
		p.Function, p.Cause = failed.Function, failed.Cause.String()
		if failed.Cause == workflow.Panicked { // the details are for the log
			p.Message = "function " + failed.Function + " panicked"
		}
		return p
	}
	return problem("function_failed", err.Error())
}

// append writes the problem as JSON.
func (p *Problem) append(b []byte) []byte {
	b = append(b, `{"code":`...)
	b = appendString(b, p.Code)
	b = append(b, `,"message":`...)
	b = appendString(b, p.Message)
	b = append(b, `,"retryable":`...)
	b = strconv.AppendBool(b, p.Retryable)
	if p.Retryable {
		b = append(b, `,"retry_after_ms":`...)
		b = strconv.AppendInt(b, milliseconds(p.RetryAfter), 10)
	}
	if p.Function != "" {
		b = append(b, `,"function":`...)
		b = appendString(b, p.Function)
		b = append(b, `,"cause":`...)
		b = appendString(b, p.Cause)
	}
	return append(b, '}')
}

// milliseconds are rounded up, at least one.
func milliseconds(d time.Duration) int64 {
	return max(1, int64((d+time.Millisecond-1)/time.Millisecond))
}
