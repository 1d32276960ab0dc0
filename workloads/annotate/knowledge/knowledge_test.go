package knowledge

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-vr/starling/workloads/annotate/document"
)

// mention is a document made of words; those in braces are entities: "{PER Maria
// Lopez} met {ORG Acme}".
func mention(s string) *document.Document {
	kinds := map[string]document.EntityKind{"PER": document.Person, "ORG": document.Organization, "LOC": document.Location}
	d := &document.Document{}
	var words []string
	open := -1
	var kind document.EntityKind
	for _, w := range strings.Fields(s) {
		if k, ok := strings.CutPrefix(w, "{"); ok {
			open, kind = len(words), kinds[k]
			continue
		}
		word, closes := strings.CutSuffix(w, "}")
		words = append(words, word)
		if closes {
			d.Entities = append(d.Entities, document.Entity{Start: uint32(open), End: uint32(len(words)), Kind: kind})
		}
	}
	d.AppendWords(words)
	return d
}

func TestSameNameIsSameEntity(t *testing.T) {
	l := &Linker{Base: New(Options{})}
	first := mention("{PER Maria Lopez} of {ORG Acme} met {PER MARIA LOPEZ} in {LOC Acme}")
	l.Link(first)
	a := first.Entities
	if a[0].ID == 0 || a[0].ID != a[2].ID || a[1].ID == a[3].ID || a[0].ID == a[1].ID {
		t.Errorf("IDs %v", a)
	}
	for _, e := range a {
		if e.Seen != 0 {
			t.Errorf("seen before the first document: %v", e)
		}
	}
	second := mention("then {PER Maria Lopez} and {ORG Initech}")
	l.Link(second)
	if e := second.Entities[0]; e.ID != a[0].ID || e.Seen != 1 {
		t.Errorf("%+v", e)
	}
	known, ok := l.Base.Get(a[0].ID)
	if !ok || known.Name != "Maria Lopez" || known.Kind != document.Person || known.Documents != 2 || len(known.Companions) != 3 {
		t.Errorf("%+v %v", known, ok)
	}
	if _, ok := l.Base.Get(42); ok {
		t.Error("42 is nobody")
	}
	if c := l.Base.Counts(); c.Entities != 4 || c.Created != 4 || c.Linked != 6 {
		t.Errorf("%+v", c)
	}
}

func TestShorterForms(t *testing.T) {
	l := &Linker{Base: New(Options{})}
	d := mention("{PER Maria Lopez} spoke . {PER Lopez} left . {PER Maria} stayed . {ORG Lopez} grew . {LOC New York} {LOC York}")
	l.Link(d)
	e := d.Entities
	if e[1].ID != e[0].ID || e[2].ID != e[0].ID || e[3].ID == e[0].ID || e[5].ID == e[4].ID {
		t.Errorf("%v", e)
	}
}

func TestAcronymsAreRemembered(t *testing.T) {
	l := &Linker{Base: New(Options{})}
	d := mention("the {ORG European Central Bank} ( {ORG ECB} ) said")
	l.Link(d)
	if d.Entities[0].ID != d.Entities[1].ID {
		t.Errorf("%v", d.Entities)
	}
	later := mention("{ORG ECB} again")
	l.Link(later)
	if later.Entities[0].ID != d.Entities[0].ID || later.Entities[0].Seen != 1 {
		t.Errorf("%v", later.Entities)
	}
	other := mention("the {ORG European Central Bank} ( {ORG IMF} ) said")
	l.Link(other)
	if other.Entities[1].ID == d.Entities[0].ID {
		t.Error("IMF is no acronym of it")
	}
}

func TestNumbersTellNamesApart(t *testing.T) {
	l := &Linker{Base: New(Options{})}
	d := mention("{ORG Studio 54} and {ORG Studio 60}")
	l.Link(d)
	if d.Entities[0].ID == d.Entities[1].ID {
		t.Error("54 is not 60")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	l := &Linker{Base: New(Options{Entities: 8 * shards})}
	often := mention("{ORG Often}")
	for i := range 3000 {
		l.Link(often)
		l.Link(mention(fmt.Sprintf("{ORG Seldom%d} ( {ORG AA%d} )", i, i)))
	}
	c := l.Base.Counts()
	if c.Entities > 8*shards || c.Evicted == 0 {
		t.Errorf("%+v", c)
	}
	if e, ok := l.Base.Get(often.Entities[0].ID); !ok || e.Documents != 3000 {
		t.Errorf("what is mentioned often was forgotten: %+v", e)
	}
}

func TestLongNamesAreCutBetweenCharacters(t *testing.T) {
	l := &Linker{Base: New(Options{})}
	d := mention("{ORG " + strings.Repeat("é", 200) + "}")
	l.Link(d)
	if e, _ := l.Base.Get(d.Entities[0].ID); e.Name != strings.Repeat("é", MaxName/2) {
		t.Errorf("%q", e.Name)
	}
}

func TestDocumentsAtTheSameTime(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	base := New(Options{Now: func() time.Time { return now }})
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			l := &Linker{Base: base}
			for i := range 500 {
				l.Link(mention(fmt.Sprintf("{PER Maria Lopez} {ORG Acme%d} {LOC Town%d}", i%50, w)))
			}
		})
	}
	group.Wait()
	d := mention("{PER Maria Lopez}")
	(&Linker{Base: base}).Link(d)
	if d.Entities[0].Seen != 4000 {
		t.Errorf("seen %d", d.Entities[0].Seen)
	}
	if e, _ := base.Get(d.Entities[0].ID); !e.First.Equal(now) || !e.Last.Equal(now) || len(e.Companions) != related {
		t.Errorf("%+v", e)
	}
}

func TestLinkingKnownEntitiesDoesNotAllocate(t *testing.T) {
	l := &Linker{Base: New(Options{})}
	d := mention("{PER Maria Lopez} of {ORG Acme} met {PER Lopez} in {LOC Lyon}")
	l.Link(d)
	if n := testing.AllocsPerRun(50, func() { l.Link(d) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLink(b *testing.B) {
	base := New(Options{})
	b.RunParallel(func(p *testing.PB) {
		l := &Linker{Base: base}
		d := mention("{PER Maria Lopez} of {ORG Acme} met {PER Lopez} in {LOC Lyon} with {PER John Roe} , {ORG Initech} ( {ORG INI} ) and {LOC Paris}")
		for p.Next() {
			l.Link(d)
		}
	})
}
