package text

import (
	"strings"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

func hashes(list string) map[uint32]bool {
	set := map[uint32]bool{}
	for _, w := range strings.Fields(list) {
		set[document.HashString(w)] = true
	}
	return set
}

var (
	// abbreviations keep their full stop whatever their case, capitalised ones only
	// with a capital (without one they are words).
	abbreviations = hashes(`mr mrs ms dr prof sr jr st vs etc inc ltd co corp gen col lt sgt capt cpl cmdr rep reps sen sens gov
		pres jan feb apr jun jul aug sep sept oct nov dec e.g i.e eg ie ft fig figs al rev hon ave approx dept est vol vols pp
		blvd rd bldg univ assn bros esp attn arrv tel fax ext incl excl misc mins hrs yrs lbs lb oz cf ca viz mt mts messrs mme
		msgr supt asst drs sts pvt ass't conf spec para a.k.a a.m p.m p.s u.s u.k u.n ph.d m.d b.a m.a d.c o.k resp adj sq tech dist`)
	capitalised = hashes(`mon tue tues wed thu thur thurs fri sat sun mar mob que va la wa pa vt ga fla ala ariz ark calif colo
		conn ill ind kan ky md mass mich minn mo neb nev okla ore tenn tex wash wis wyo ont sec ed eds no nos art ch pt`)
	// titles are followed by a name, so that no sentence ends with one.
	titles = hashes(`mr mrs ms dr prof st gen col lt sgt capt cpl cmdr rep reps sen sens gov pres rev hon messrs mme msgr supt
		vs e.g i.e eg ie cf fig figs no nos vol mt ft ca approx jan feb mar apr jun jul aug sep sept oct nov dec`)
	// units are divided from a number that they are written to.
	units = func() map[string]bool {
		set := map[string]bool{}
		for _, u := range strings.Fields(`am pm a p k m b g kg mg km cm mm ft lb lbs oz hr hrs min mins sec yr yrs mph kb mb gb tb
			ghz mhz hz kw mw mwh kwh bn mn x inch sqft c f d l ml mmbtu bcf mcf p.m a.m usd`) {
			set[u] = true
		}
		return set
	}()
	// affixes stay with the word after their hyphen.
	affixes = hashes(`e co non pre post re semi anti multi pro mid ex sub un psycho socio pseudo quasi counter inter intra
		extra ultra mini micro macro mega neo bi tri uni vice over under trans bio`)
	// starts are words that begin sentences more often than they follow an
	// abbreviation with a capital.
	starts = hashes(`the a an this that these those it he she we they i you there here but and or so if when while what who
		why how in on at for as with after before his her their our my your its not no yes however although please thanks
		to from by is are was were do does did have has can will would let all some many most one two`)
	elisions = hashes(`em til till tis twas cause cuz bout cos n nuff round s re ve ll m d`)
)

// abbreviation says whether b, before a full stop that nothing but marks follow in
// its chunk, is one.
func abbreviation(b []byte) bool {
	if len(b) == 1 {
		return kinds[b[0]] == upper && b[0] != 'I'
	}
	if len(b) > 12 {
		return false
	}
	dotted := false
	for i, c := range b {
		if c == '.' {
			dotted = true
			if i > 0 && i+2 < len(b) && b[i+2] != '.' {
				dotted = false // "example.com"
				break
			}
		}
	}
	if dotted && len(b)&1 == 1 {
		return true
	}
	h := document.Hash(b)
	return abbreviations[h] || kinds[b[0]] == upper && capitalised[h]
}

func affix(b []byte) bool {
	return len(b) <= 7 && affixes[document.Hash(b)]
}

func elided(b []byte) bool {
	return len(b) > 0 && len(b) <= 5 && elisions[document.Hash(b)]
}

// commonStart says whether the word at the start of b often begins a sentence.
func commonStart(b []byte) bool {
	n := 0
	for n < len(b) && n < 9 && kinds[b[n]]&(lower|upper) != 0 {
		n++
	}
	return n > 0 && n < 9 && starts[document.Hash(b[:n])]
}

// emoticon is the size of the one that b is, or begins with before a mark, 0 if none.
func emoticon(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[0] {
	case ':', ';', '=', '(', '<', '^', 'X', '8':
	default:
		return 0
	}
	n := len(b)
	for n > 2 && (b[n-1] == '.' || b[n-1] == '!' || b[n-1] == ',' || b[n-1] == '?') {
		n--
	}
	switch string(b[:n]) {
	case ":)", ":(", ";)", "=)", "=(", ":-)", ":-(", ";-)", ":D", ":-D", ":P", ":-P", ":p", ":o", ":O", ":/", ":|", ":-/",
		"(:", "(;", "<3", "^_^", "=D", ";D", ":'(", ":))", ":)))", ":((", "<<", ":*", "=P":
		return n
	}
	return 0
}
