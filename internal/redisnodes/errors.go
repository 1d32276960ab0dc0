package redisnodes

import (
	"strconv"
	"strings"
)

// Redirect is what a node says of a slot that it does not serve: the command
// had no effect.
type Redirect struct {
	Slot    int
	Address string
	Ask     bool // for this command only, after ASKING; else for good
}

// ParseRedirect reads "MOVED 3999 127.0.0.1:6381" and "ASK ...".
func ParseRedirect(message string) (r Redirect, ok bool) {
	kind, rest, _ := strings.Cut(message, " ")
	if kind != "MOVED" && kind != "ASK" {
		return r, false
	}
	slot, address, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(slot)
	if err != nil || n < 0 || n >= Slots || !strings.Contains(address, ":") {
		return r, false
	}
	return Redirect{Slot: n, Address: address, Ask: kind == "ASK"}, true
}

// HadNoEffect says whether an error reply means that the command was turned
// away before it did anything, for a reason that may pass.
func HadNoEffect(message string) bool {
	switch kind, _, _ := strings.Cut(message, " "); kind {
	case "TRYAGAIN", "READONLY", "CLUSTERDOWN", "LOADING", "MASTERDOWN":
		return true
	}
	return false
}
