package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"os"
	"path/filepath"

	"github.com/starling-vr/starling/loadtest/report/plot"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what a page of any kind shows.
type page struct {
	Title, Subtitle, Footer string
	Notices                 []remark
	Cards                   []card
	Leading                 []table // before the figures
	Figures                 []figure
	Tables                  []table // after them
}

type remark struct{ Class, Text string } // good, bad or warn

type card struct{ Class, Name, Value, Unit, Remark string }

type table struct {
	Title string
	Head  []string
	Rows  [][]string
}

type figure struct {
	Title, Caption string
	Plot           plot.Plot
	Table          table
	SVG            template.HTML
}

// write renders the page into a folder as index.html.
func (p *page) write(folder string) error {
	for i := range p.Figures {
		f := &p.Figures[i]
		f.Plot.Title, f.Plot.Text = f.Title, f.Caption
		f.Table.Title = f.Title
		f.SVG = template.HTML(f.Plot.SVG("figure-" + string(rune('a'+i)))) // plot escapes all texts
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		*page
		Style template.CSS
	}{p, template.CSS(pageStyle)})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return replaceFile(filepath.Join(folder, "index.html"), b.Bytes())
}

// add appends a figure that has anything to show.
func (p *page) add(f figure) {
	for _, s := range f.Plot.Data {
		if len(s.Points) > 0 {
			p.Figures = append(p.Figures, f)
			return
		}
	}
}
