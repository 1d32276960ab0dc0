package stream

// counter reads the time stamp counter once everything before it is done.
//
//go:noescape
func counter() uint64

// peek reads the time stamp counter, perhaps while what is before it is not done.
//
//go:noescape
func peek() uint64

// cpuid asks the processor what it is.
//
//go:noescape
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// steadyCounter says whether the time stamp counter runs at one rate in all
// states of the processor, and whether it can be read in order (AMD64 Architecture
// Programmer's Manual, volume 3, appendix E.4: 8000_0007h EDX bit 8, 8000_0001h EDX
// bit 27; Intel's volume 2A, CPUID, is the same).
func steadyCounter() bool {
	const highest, features, power = 0x80000000, 0x80000001, 0x80000007
	if top, _, _, _ := cpuid(highest, 0); top < power {
		return false
	}
	_, _, _, extended := cpuid(features, 0)
	_, _, _, advanced := cpuid(power, 0)
	return extended>>27&1 == 1 && advanced>>8&1 == 1
}
