package text

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// What Identify looks at: the first bytes, and the first different words.
const (
	sampledBytes = 4096
	sampledTerms = 1000
)

// Identify tells the language of a document that is tokenised, and writes it into
// d.Language. Scripts that belong to few languages decide by themselves; texts in
// Latin and Cyrillic letters are told apart by their function words (after
// Grefenstette, "Comparing two language identification schemes", 1995). A short text
// in the letters A to Z without any of them, or with one alone that is a word of
// English, too, counts as English, with a confidence of 0.3; Russian and Ukrainian texts
// without enough of them are known by their letters, with 0.5.
func Identify(d *document.Document) {
	script, share := scriptOf(d.Text)
	switch script {
	case noScript:
		d.Language = document.Language{Code: "und"}
	case latin, cyrillic:
		d.Language = byWords(d, script)
	default:
		d.Language = document.Language{Code: scriptLanguages[script], Confidence: share}
	}
}

type script uint8

const (
	noScript script = iota
	latin
	cyrillic
	greek
	hebrew
	arabic
	devanagari
	bengali
	tamil
	thai
	hangul
	kana
	han
	georgian
	armenian
	otherScript
	scripts
)

var scriptLanguages = [scripts]string{greek: "el", hebrew: "he", arabic: "ar", devanagari: "hi", bengali: "bn", tamil: "ta",
	thai: "th", hangul: "ko", kana: "ja", han: "zh", georgian: "ka", armenian: "hy", otherScript: "und"}

// scriptOf gives the script that most letters are of, and their share. A text with a
// tenth of Kana among its Han is Japanese.
func scriptOf(b []byte) (script, float32) {
	var count [scripts]int
	b = b[:min(len(b), sampledBytes)]
	letters := 0
	for i := 0; i < len(b); {
		if len(b)-i >= 8 {
			if eight := binary.LittleEndian.Uint64(b[i:]); eight&0x8080808080808080 == 0 {
				letters += 8 - bits.OnesCount64(otherThanLetters(eight))
				i += 8
				continue
			}
		}
		if c := b[i]; c < utf8.RuneSelf {
			if c|32-'a' < 26 {
				letters++
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		i += size
		if s := scriptOfRune(r); s != noScript {
			count[s]++
		}
	}
	count[latin] += letters
	all, most := 0, noScript
	for s, n := range count {
		all += n
		if n > count[most] {
			most = script(s)
		}
	}
	if all == 0 {
		return noScript, 0
	}
	if most == han && count[kana]*10 >= count[han] {
		most = kana
	}
	n := count[most]
	if most == kana {
		n += count[han]
	}
	return most, float32(n) / float32(all)
}

func scriptOfRune(r rune) script {
	switch {
	case r >= 0xc0 && r < 0x250 && r != 0xd7 && r != 0xf7, r >= 0x1e00 && r < 0x1f00:
		return latin
	case r < 0x370:
		return noScript
	case r < 0x400:
		return greek
	case r < 0x530:
		return cyrillic
	case r < 0x590:
		return armenian
	case r < 0x600:
		return hebrew
	case r < 0x780:
		return arabic
	case r >= 0x900 && r < 0x980:
		return devanagari
	case r >= 0x980 && r < 0xa00:
		return bengali
	case r >= 0xb80 && r < 0xc00:
		return tamil
	case r >= 0xe00 && r < 0xe80:
		return thai
	case r >= 0x10a0 && r < 0x1100:
		return georgian
	case r >= 0x3040 && r < 0x3100, r >= 0xff66 && r < 0xffa0:
		return kana
	case r >= 0x1100 && r < 0x1200, r >= 0xac00 && r < 0xd7b0, r >= 0x3130 && r < 0x3190:
		return hangul
	case r >= 0x3400 && r < 0xa000, r >= 0x20000 && r < 0x40000:
		return han
	case r >= 0x2000 && r < 0x3400, r == utf8.RuneError, r >= 0xfe00 && r < 0x10000, r >= 0x1f000 && r < 0x20000:
		return noScript
	}
	return otherScript
}

// byWords asks the function words of the languages of a script. Every mention votes
// for the languages that have the word among theirs, its vote divided among them.
func byWords(d *document.Document, s script) document.Language {
	var votes [languageCount]float32
	words, hits, firm := uint32(0), uint32(0), false
	for i := range d.Terms[:min(len(d.Terms), sampledTerms)] {
		t := &d.Terms[i]
		if shape := d.Tokens[t.First].Shape; shape == document.Mark || shape == document.Number {
			continue
		}
		words += t.Count
		set := functionWords.languages(t.Word)
		if set == 0 {
			continue
		}
		hits += t.Count
		firm = firm || !alsoEnglish[t.Word]
		share := float32(t.Count) / float32(bits.OnesCount32(set))
		for ; set != 0; set &= set - 1 {
			votes[bits.TrailingZeros32(set)] += share
		}
	}
	best, second := leaders(&votes)
	short := s == latin && words <= 12 && plain(d.Text)
	switch {
	case words == 0:
		return document.Language{Code: "und"}
	case short && hits == 1 && !firm:
		return document.Language{Code: "en", Confidence: 0.3}
	case votes[best] >= 0.5 && float32(hits)/float32(words) >= 0.04:
		return document.Language{Code: languages[best].code, Confidence: confidence(votes[best], votes[second])}
	case short:
		return document.Language{Code: "en", Confidence: 0.3}
	case s == cyrillic:
		return byLetters(d.Text)
	}
	return document.Language{Code: "und"}
}

// byLetters tells short texts in Cyrillic by letters that only one of the languages has:
// ё, ы and э are Russian, є, і, ї and ґ Ukrainian. A text that has both, or letters that
// neither has, is in another language.
func byLetters(b []byte) document.Language {
	russian, ukrainian := false, false
	b = b[:min(len(b), sampledBytes)]
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		i += size
		switch r = unicode.ToLower(r); {
		case r == 'ё' || r == 'ы' || r == 'э':
			russian = true
		case r == 'є' || r == 'і' || r == 'ї' || r == 'ґ':
			ukrainian = true
		case r > 'я' && r < 0x530:
			return document.Language{Code: "und"}
		}
	}
	switch {
	case russian && !ukrainian:
		return document.Language{Code: "ru", Confidence: 0.5}
	case ukrainian && !russian:
		return document.Language{Code: "uk", Confidence: 0.5}
	}
	return document.Language{Code: "und"}
}

// leaders are the two languages with most votes.
func leaders(votes *[languageCount]float32) (best, second int) {
	best, second = 0, 1
	if votes[1] > votes[0] {
		best, second = 1, 0
	}
	for l := 2; l < languageCount; l++ {
		switch {
		case votes[l] > votes[best]:
			best, second = l, best
		case votes[l] > votes[second]:
			second = l
		}
	}
	return best, second
}

// confidence grows with the votes and with their lead.
func confidence(best, second float32) float32 {
	return best / (best + second + 0.5)
}

// plain says whether all letters of b are A to Z; quotation marks, dashes and emoji
// are no letters.
func plain(b []byte) bool {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if unicode.IsLetter(r) || r >= 0x300 && r < 0x370 { // the latter stand above letters
			return false
		}
		i += size
	}
	return true
}
