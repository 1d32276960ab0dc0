package document

// Tag is a part of speech of the Penn treebank's set, with the additions of the
// English Web Treebank (ADD, AFX, GW, HYPH, NFP).
type Tag uint8

// Tags. NoTag is that of a token that was not tagged.
const (
	NoTag Tag = iota
	TagCC
	TagCD
	TagDT
	TagEX
	TagFW
	TagIN
	TagJJ
	TagJJR
	TagJJS
	TagLS
	TagMD
	TagNN
	TagNNS
	TagNNP
	TagNNPS
	TagPDT
	TagPOS
	TagPRP
	TagPRPS // PRP$
	TagRB
	TagRBR
	TagRBS
	TagRP
	TagSYM
	TagTO
	TagUH
	TagVB
	TagVBD
	TagVBG
	TagVBN
	TagVBP
	TagVBZ
	TagWDT
	TagWP
	TagWPS // WP$
	TagWRB
	TagComma
	TagPeriod
	TagColon
	TagDollar
	TagOpenQuote  // ``
	TagCloseQuote // ''
	TagLRB        // -LRB-
	TagRRB        // -RRB-
	TagHash       // #
	TagADD
	TagAFX
	TagGW
	TagHYPH
	TagNFP
	TagXX
	Tags int = iota
)

var tagNames = [Tags]string{
	"", "CC", "CD", "DT", "EX", "FW", "IN", "JJ", "JJR", "JJS", "LS", "MD", "NN", "NNS", "NNP", "NNPS", "PDT", "POS",
	"PRP", "PRP$", "RB", "RBR", "RBS", "RP", "SYM", "TO", "UH", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ", "WDT", "WP",
	"WP$", "WRB", ",", ".", ":", "$", "``", "''", "-LRB-", "-RRB-", "#", "ADD", "AFX", "GW", "HYPH", "NFP", "XX",
}

// String gives the tag's name in the treebank, "" for NoTag.
func (t Tag) String() string {
	if int(t) < Tags {
		return tagNames[t]
	}
	return ""
}

// ParseTag finds the tag of a name.
func ParseTag(name string) (Tag, bool) {
	for i, n := range tagNames {
		if n == name && i > 0 {
			return Tag(i), true
		}
	}
	return NoTag, false
}

// Noun says whether the tag is that of a common or a proper noun.
func (t Tag) Noun() bool { return t >= TagNN && t <= TagNNPS }

// Adjective says whether the tag is that of an adjective.
func (t Tag) Adjective() bool { return t >= TagJJ && t <= TagJJS }
