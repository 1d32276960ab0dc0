// Command generate writes the trigger's kernels in Go assembly: the same network
// arithmetic, unrolled, for AVX2 and for AVX-512 VNNI. Run it by `go generate` in
// package kernels. How weights are laid out for it is in that package's pack_amd64.go.
package main

import (
	"log"
	"os"
)

// outputs are the files and what goes into each.
var outputs = map[string]func() string{
	"kernels_avx2_amd64.s": avx2File,
	"kernels_vnni_amd64.s": vnniFile,
}

func main() {
	for name, text := range outputs {
		if err := os.WriteFile(name, []byte(text()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func avx2File() string {
	p := newFile("AVX2")
	for _, events := range []int{1, 2, 4, 8} {
		p.jetByOutput(avx2, events)
	}
	p.jetFew(1)
	p.jetFew(2)
	p.jetWords(4)
	p.jetWords(8)
	p.wideWords(1)
	p.wideWords(2)
	p.narrow(avx2)
	p.requantise()
	p.pool()
	return p.String()
}

func vnniFile() string {
	p := newFile("AVX-512 VNNI (F, BW, VL, VNNI)")
	for _, events := range []int{1, 2, 4} {
		p.jetByOutput(vnni, events)
	}
	p.jetByEvent()
	p.wide(vnni, 1)
	p.wide(vnni, 4)
	p.narrow(vnni)
	return p.String()
}
