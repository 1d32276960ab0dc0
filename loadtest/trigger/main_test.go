package trigger

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this binary be the process of a test, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Equal(os.Args[1:], ProcessCommand) {
		if err := Serve(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
