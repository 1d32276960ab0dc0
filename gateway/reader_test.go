package gateway

import (
	"strings"
	"testing"
)

const portableTest = "TestPortableReader"

// What the gateway promises over a real socket holds whichever way it is read:
// by pollers in the tests by themselves, where there are any, and here by
// goroutines.
func TestPortableReader(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"HelloActFrame":                TestHelloActFrame,
		"HandshakeNeedsSubprotocol":    TestHandshakeNeedsSubprotocol,
		"HostileFirstMessages":         TestHostileFirstMessages,
		"HostileAfterHello":            TestHostileAfterHello,
		"HostileActionsGetOutcomes":    TestHostileActionsGetOutcomes,
		"Flood":                        TestFlood,
		"TooManyInFlight":              TestTooManyInFlight,
		"SilentPeers":                  TestSilentPeers,
		"HalfHandshakes":               TestHalfHandshakes,
		"TokenExpiresDuringConnection": TestTokenExpiresDuringConnection,
		"LimitsOfConnections":          TestLimitsOfConnections,
		"OverloadIsRefusedAtArrival":   TestOverloadIsRefusedAtArrival,
		"Resume":                       TestResume,
		"ResumeOverHalfOpenConnection": TestResumeOverHalfOpenConnection,
		"NewSessionFencesTheOld":       TestNewSessionFencesTheOld,
		"Leave":                        TestLeave,
		"RoutesChanged":                TestRoutesChanged,
		"Drain":                        TestDrain,
		"DrainCalledOff":               TestDrainCalledOff,
		"ReaderThatPauses":             TestReaderThatPauses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// readerOf is how a test's gateway reads.
func readerOf(t testing.TB) string {
	if strings.HasPrefix(t.Name(), portableTest+"/") {
		return ReaderPortable
	}
	return ReaderEpoll
}
