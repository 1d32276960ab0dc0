package main

import (
	"os"
	"testing"
)

// The assembly in the repository is what the generator writes: whoever changes one
// without the other learns it here.
func TestTheOutputIsUpToDate(t *testing.T) {
	for name, text := range outputs {
		file, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if string(file) != text() {
			t.Errorf("%s is stale: run go generate ./workloads/trigger/kernels", name)
		}
	}
}
