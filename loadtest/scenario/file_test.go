package scenario_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/starling-vr/starling/loadtest/scenario"
)

func TestEveryScenarioIsValidAndComesBackFromTOML(t *testing.T) {
	want := []string{"arena", "pokemon-go", "safari-zone", "sparse", "stand-out", "street"}
	if got := scenario.Names(); !reflect.DeepEqual(got, want) {
		t.Fatalf("names %v", got)
	}
	for _, name := range want {
		s, err := scenario.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != name || s.Description == "" || s.Participants == 0 {
			t.Errorf("%s: %+v", name, s)
		}
		text, err := s.TOML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := scenario.Parse(name, text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if !reflect.DeepEqual(s, again) {
			t.Errorf("%s changed:\n%+v\n%+v", name, s, again)
		}
	}
}

func TestSharesOfThePaper(t *testing.T) {
	s, err := scenario.Load("pokemon-go")
	if err != nil {
		t.Fatal(err)
	}
	east, south, all := 0.0, 0.0, 0.0
	for _, c := range s.Clusters {
		all += c.Share
		if c.Centre.Lng > 60 {
			east += c.Share
		}
		if c.Centre.Lat < 20 && c.Centre.Lng < -40 && c.Centre.Lng > -110 {
			south += c.Share
		}
	}
	for what, share := range map[string][2]float64{"all": {all, 1}, "Asia-Pacific": {east, 0.52}, "Latin America": {south, 0.09}} {
		if d := share[0] - share[1]; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: %v, want %v", what, share[0], share[1])
		}
	}
}

func TestLoadReadsFiles(t *testing.T) {
	text, err := scenario.Source("street")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mine.toml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "size = 8", "size = 9", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Load(path)
	if err != nil || s.Name != "mine" || s.Groups.Size != 9 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestErrorsSayWhatIsWrongAndWhere(t *testing.T) {
	street, err := scenario.Source("street")
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, with string) string {
		if !strings.Contains(string(street), old) {
			t.Fatalf("no %q in it", old)
		}
		return strings.Replace(string(street), old, with, 1)
	}
	unknown := change("fastest = 3.0", "fastest = 3.0\nfaster = 4")
	before, _, _ := strings.Cut(unknown, "faster")
	for name, c := range map[string]struct{ text, want string }{
		"unknown key":      {unknown, "faster"},
		"its line":         {unknown, strconv.Itoa(1+strings.Count(before, "\n")) + "|"},
		"not TOML":         {change("size = 8", "size = "), "line"},
		"wrong type":       {change("size = 8", `size = "many"`), "size"},
		"bad duration":     {change(`rest = "4s"`, `rest = "4 parsecs"`), "4 parsecs"},
		"shares":           {change("move = 0.9", "move = 0.8"), "add up to 0.9"},
		"too fast":         {change("fastest = 3.0", "fastest = 30.0"), "walk.fastest is 30"},
		"nowhere":          {change("[groups]", "[matches]\nextent = 20.0"), ""},
		"two wheres":       {string(street) + "\n[[clusters]]\nname = \"x\"\nshare = 1.0\ncentre = { lat = 0.0, lng = 0.0 }\nmean_distance = 3.0\nspread = 1.0\n", "not 2 of them"},
		"off the Earth":    {change("lat = 25.0339", "lat = 95.0"), "groups.centre.lat is 95"},
		"no rate":          {change("rate = 10.0", "rate = 0.0"), "arrivals.rate is 0"},
		"grab by nobody":   {change("things = 0.25", "things = 0.01"), "less than grab"},
		"spread too great": {change("spread = 0.523", "spread = 11.0"), "groups.spread is 11"},
	} {
		_, err := scenario.Parse("street", []byte(c.text))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something of %q", name, err, c.want)
		}
	}
	if _, err := scenario.Load("streets"); err == nil || !strings.Contains(err.Error(), "sparse, stand-out, street") {
		t.Errorf("%v", err)
	}
}

// One reading tells all faults, and shows nothing that a terminal would act on.
func TestFaultsOfAFile(t *testing.T) {
	_, err := scenario.Parse("faulty", []byte("colour = 1\n[groups]\nsize = 0\n"))
	if err == nil || !strings.Contains(err.Error(), "colour") || !strings.Contains(err.Error(), "groups.size is 0") {
		t.Errorf("%v", err)
	}
	for _, binary := range []string{"\x7fELF\x02\x01", "a = \"\xff\xfe\"", "a = \"\x1b[2J\""} {
		if _, err := scenario.Parse("binary", []byte(binary)); err == nil || !strings.Contains(err.Error(), "is not text") {
			t.Errorf("%q: %v", binary, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range scenario.Names() {
		text, err := scenario.Source(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("arrivals = 3")
	f.Add("[[clusters]]\nshare = nan")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := scenario.Parse("fuzzed", []byte(text))
		if err != nil {
			return
		}
		c, err := scenario.New(s, scenario.Options{Participants: 3, Duration: 1e9})
		if err != nil {
			return
		}
		for range 20 {
			a, ok := c.Next()
			if !ok {
				return
			}
			if expected, _ := c.Affected(&a); len(expected) == 0 {
				t.Fatalf("nobody sees %+v", a)
			}
		}
	})
}

// Clusters for so many people each are as many as the crowd needs.
func TestGroupsOfACrowd(t *testing.T) {
	const head = "participants = 80\n[arrivals]\nrate = 1.0\n[mix]\nmove = 1.0\n[walk]\nspeed = 1.0\nfastest = 2.0\n"
	const centre = "mean_distance = 5.0\nspread = 0.5\ncentre = { lat = 25.0, lng = 121.5 }\n"
	for where, groups := range map[string]int{
		"[groups]\nsize = 30\n": 3,
		"[[clusters]]\nname = \"a\"\nshare = 1.0\npeople = 20.0\n": 4,
		"[[clusters]]\nname = \"a\"\nshare = 1.0\ncount = 7\n":     7,
	} {
		s, err := scenario.Parse("some", []byte(head+where+centre))
		if err != nil {
			t.Fatal(err)
		}
		c, err := scenario.New(s, scenario.Options{})
		if err != nil || c.Groups() != groups {
			t.Errorf("%q: %d groups, %v", where, c.Groups(), err)
		}
	}
}
