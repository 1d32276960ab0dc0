package document

import "strings"

// stopWords are the function words of English and a few verbs of reporting, as the
// tokeniser divides them ("don't" is "do" and "n't").
const stopWords = `a about above across after again against all almost along already also although always am among an and
another any anybody anyone anything are around as at away b back be became because become been before behind being below
between both but by c ca came can cannot could d did do does doing done down during e each either else enough etc even ever
every everyone everything f few for from further g get gets getting go goes going gone got h had has have having he her here
hers herself him himself his how however i if in into is it its itself j just k l last least less let like likely m made
make makes making many may maybe me might more most mr mrs ms much must my myself n near need neither never next no nobody
none nor not nothing now o of off often on once one only onto or other others otherwise our ours ourselves out over own p
per perhaps put q quite r rather re really s said same say saying says see seem seemed seems shall she should since so
some somebody someone something still such t take than that the their theirs them themselves then there therefore these
they thing things this those though through thus to together too toward towards u under until up upon us used using v very
via w was way we well went were what whatever when where whether which while who whole whom whose why will with within
without would x y yet you your yours yourself yourselves z 's 're 've 'll 'd 'm n't 't wo sha ai -lrb- -rrb- th
0 00 000 0000 one two three first second`

// stopTable has each stop word in one of the four places of its bucket, so that a word is
// looked for without a branch that depends on it.
var stopTable = func() (table [512][4]uint32) {
	for _, w := range strings.Fields(stopWords) {
		h := HashString(w)
		bucket := &table[stopBucket(h)]
		place := 0
		for bucket[place] != 0 && bucket[place] != h {
			place++ // beyond the last one is a fault of the list, found by any test
		}
		bucket[place] = h
	}
	return
}()

func stopBucket(h uint32) uint32 { return h * 0x85ebca6b >> 23 }

func stopWord(h uint32) bool {
	b := &stopTable[stopBucket(h)]
	return uint64(b[0]^h)*uint64(b[1]^h) == 0 || uint64(b[2]^h)*uint64(b[3]^h) == 0
}
