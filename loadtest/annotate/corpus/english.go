package corpus

import (
	"math/rand/v2"
	"strings"
)

// Generated makes a corpus of English-like sentences: noun phrases with adjectives,
// verbs in the past, prepositional phrases, clauses, quotations, names of people,
// companies and places, numbers and dates, with words drawn by Zipf's law (Zipf,
// 1935: the k-th most frequent word comes with a frequency in proportion to 1/k).
func Generated(options Options) *Corpus {
	c := &Corpus{seed: options.Seed, htmlShare: options.HTMLShare, name: "generated"}
	w := &writer{random: rand.New(rand.NewPCG(options.Seed, 0x5ee7))}
	missing := longest - shortest + 1
	for range 200 * perLength {
		text := w.sentence()
		n := strings.Count(text, " ") + 1
		if n < shortest || n > longest || len(c.bank[n]) >= perLength {
			continue
		}
		c.add(text, n)
		if len(c.bank[n]) == perLength {
			if missing--; missing == 0 {
				break
			}
		}
	}
	for n := shortest; n <= longest; n++ { // what the grammar seldom makes
		for len(c.bank[n]) < perLength {
			c.add(w.exactly(n), n)
		}
	}
	return c
}

// writer writes sentences.
type writer struct{ random *rand.Rand }

// pick draws a word by Zipf's law: the inverse of its distribution, log-uniform.
func (w *writer) pick(words []string) string {
	k := int(pow(float64(len(words)+1), w.random.Float64())) - 1
	return words[min(k, len(words)-1)]
}

func (w *writer) chance(percent int) bool { return w.random.IntN(100) < percent }

func (w *writer) sentence() string {
	var b strings.Builder
	switch {
	case w.chance(12):
		b.WriteString("“" + w.clause() + ",” said " + w.person())
	case w.chance(20):
		b.WriteString(w.pick(openers) + ", " + w.clause())
	case w.chance(20):
		b.WriteString(w.clause() + ", " + w.pick(joiners) + " " + w.clause())
	default:
		b.WriteString(w.clause())
	}
	b.WriteByte('.')
	if w.chance(4) {
		return capital(strings.TrimSuffix(b.String(), ".") + "!")
	}
	return capital(b.String())
}

// exactly makes a sentence of n words: one that is cut, or two that are joined.
func (w *writer) exactly(n int) string {
	words := strings.Fields(w.sentence())
	for len(words) < n {
		words[len(words)-1] = strings.TrimRight(words[len(words)-1], ".!") + ","
		words = append(words, strings.Fields(w.pick(joiners)+" "+w.clause()+".")...)
	}
	last := strings.TrimRight(words[n-1], ",.!”") + "."
	return strings.Join(append(words[:n-1:n-1], last), " ")
}

func (w *writer) clause() string {
	s := w.subject() + " " + w.pick(verbs) + " " + w.object()
	if w.chance(55) {
		s += " " + w.pick(prepositions) + " " + w.object()
	}
	if w.chance(25) {
		s += " " + w.when()
	}
	return s
}

func (w *writer) subject() string {
	switch n := w.random.IntN(10); {
	case n < 2:
		return w.person()
	case n < 3:
		return w.company()
	case n < 4:
		return w.pick(pronouns)
	}
	return w.phrase()
}

func (w *writer) object() string {
	switch n := w.random.IntN(12); {
	case n < 1:
		return w.person()
	case n < 2:
		return w.company()
	case n < 3:
		return w.pick(places)
	case n < 4:
		return w.number() + " " + w.pick(plurals)
	}
	return w.phrase()
}

// phrase is a noun phrase.
func (w *writer) phrase() string {
	s := w.pick(determiners)
	if w.chance(40) {
		s += " " + w.pick(adjectives)
	}
	s += " " + w.pick(nouns)
	if w.chance(15) {
		s += " of " + w.pick(determiners) + " " + w.pick(nouns)
	}
	if w.chance(6) {
		s = strings.TrimSpace(w.pick(lastNames) + "’s " + w.pick(nouns))
	}
	return s
}

func (w *writer) person() string {
	s := w.pick(lastNames)
	if w.chance(70) {
		s = w.pick(firstNames) + " " + s
	} else {
		s = w.pick(titles) + " " + s
	}
	return s
}

func (w *writer) company() string { return w.pick(companies) + " " + w.pick(companyKinds) }

func (w *writer) number() string {
	const digits = "0123456789"
	s := string(digits[1+w.random.IntN(9)])
	for w.chance(55) && len(s) < 4 {
		s += string(digits[w.random.IntN(10)])
	}
	return s
}

func (w *writer) when() string {
	switch w.random.IntN(3) {
	case 0:
		return "on " + w.pick(days)
	case 1:
		return "in " + w.pick(months)
	}
	return w.pick(adverbs)
}

func capital(s string) string {
	for i, r := range s {
		if r >= 'a' && r <= 'z' {
			return s[:i] + string(r-'a'+'A') + s[i+1:]
		}
		if r != '“' {
			break
		}
	}
	return s
}
