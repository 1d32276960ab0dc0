package vocabulary

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

func words(hashes []uint32) Words {
	n := len(hashes) + 1
	return Words{
		Hash: append([]uint32{0}, hashes...), Cluster: make([]uint16, n), Class: make([]uint8, n),
		Only: make([]document.Tag, n), Nameless: make([]uint8, n), Rarity: make([]uint8, n),
	}
}

func TestEachWordHasItsNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.SliceOfNDistinct(rapid.Uint32(), 0, 300, rapid.ID[uint32]).Draw(t, "hashes")
		v, err := New(words(hashes))
		if err != nil {
			t.Fatal(err)
		}
		known := map[uint32]uint32{}
		for i, h := range hashes {
			known[h] = uint32(i + 1)
			if got := v.Number(h); got != uint32(i+1) {
				t.Fatalf("word %d has number %d", i+1, got)
			}
		}
		if h := rapid.Uint32().Draw(t, "any"); v.Number(h) != known[h] {
			t.Fatalf("hash %d has number %d", h, v.Number(h))
		}
	})
}

func TestWordsOfDifferentLengthsAreNoVocabulary(t *testing.T) {
	w := words([]uint32{1, 2})
	w.Class = w.Class[:2]
	if _, err := New(w); err == nil {
		t.Error("accepted")
	}
	if _, err := New(Words{}); err == nil {
		t.Error("accepted none")
	}
	w = words([]uint32{1})
	w.Only[1] = 200
	if _, err := New(w); err == nil {
		t.Error("accepted a tag that there is not")
	}
}

func TestAssign(t *testing.T) {
	v, err := New(words([]uint32{document.HashString("river"), document.HashString("don")}))
	if err != nil {
		t.Fatal(err)
	}
	var d document.Document
	d.AppendWords([]string{"River", "Don", "flows", "river"})
	v.Assign(&d)
	for i, want := range []uint32{1, 2, 0} {
		if d.Terms[i].Vocabulary != want {
			t.Errorf("term %d has number %d, want %d", i, d.Terms[i].Vocabulary, want)
		}
	}
}

func TestRarityGrowsWithRank(t *testing.T) {
	last := uint8(0)
	for _, rank := range []int{0, 1, 10, 100, 1000, 10000, 100000} {
		r := RarityOfRank(rank)
		if r < last {
			t.Errorf("rank %d: %d after %d", rank, r, last)
		}
		last = r
	}
	if last < 100 {
		t.Errorf("rank 100000 has rarity %d", last)
	}
}
