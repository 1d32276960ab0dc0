package model

import (
	"testing"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// article is a text of about 300 words.
const article = `The harbour authority of Valparaiso said on Tuesday that it would close two of its oldest piers before the end of the year.
Engineers from the University of Chile had warned for months that the foundations, which were laid in 1911, could no longer carry the weight of modern cranes.
"We cannot wait for an accident," said Carmen Rojas, who has led the authority since 2019. "Ships will be sent to San Antonio until the work is done."
Fishermen were less pleased. Some forty boats land their catch at the smaller pier each morning, and their owners fear that the longer way to market will cost them what little they earn.
Pedro Soto, whose family has fished there for three generations, called the decision hasty and badly explained.
The city council is expected to discuss the plan next week. Its members are divided: those who represent the hills above the port want the land for housing, while shopkeepers along the waterfront hope for a museum and a new landing stage for visitors.
A spokeswoman for Maersk said the company had been told in time and did not expect delays. Smaller carriers may find it harder to adapt, according to the Chamber of Commerce, because they have no contracts with other ports.
Work is due to begin in March and will take at least eighteen months. The authority has set aside 42 million dollars, half of it borrowed from the Inter-American Development Bank in Washington.
Similar projects in Callao and Guayaquil cost far more than planned, and critics doubt whether the money will last.
For now the cranes keep moving. On a cold, bright morning the first containers of the day are already on their way to Santiago, and gulls quarrel over what the boats have left behind.`

func BenchmarkAnnotate(b *testing.B) {
	m := shipped(b)
	d := tokenised(article)
	b.Logf("%d tokens", len(d.Tokens))
	annotate(b, m, d)
	for _, f := range []struct {
		name string
		do   func(*document.Document)
	}{
		{"vocabulary", m.Assign}, {"speech", m.Tagger.Tag}, {"entities", m.Recognizer.Recognize},
		{"sentiment", m.Classifier.Classify}, {"embedding", m.Vectors.Embed},
	} {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.do(d)
			}
		})
	}
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			annotate(b, m, d)
		}
	})
}
