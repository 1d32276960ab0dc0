package pipeline

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// places says where a key, or a text in a list ("key=text"), stands in a file.
// Elements of arrays of tables have an index, inline ones too: "workflow[0].step[2].when".
type places map[string]place

type place struct{ line, column int }

// find gives the place of a path, or of what it is part of.
func (p places) find(path string) place {
	for {
		if at, ok := p[path]; ok {
			return at
		}
		cut := strings.LastIndexAny(path, ".=[")
		if cut < 0 {
			return place{}
		}
		path = path[:cut]
	}
}

// at gives the innermost path that begins at a place.
func (p places) at(where place) (path string) {
	for key, at := range p {
		if at == where && len(key) > len(path) {
			path = key
		}
	}
	return path
}

func findPlaces(text []byte) places {
	var parser unstable.Parser
	parser.Reset(text)
	p := places{}
	tables := map[string]int{}
	section := ""
	for parser.NextExpression() {
		node := parser.Expression()
		switch node.Kind {
		case unstable.Table:
			section = p.note(&parser, indexed(keyOf(node), tables), node)
		case unstable.ArrayTable:
			key := keyOf(node)
			path := indexed(key, tables)
			section = p.note(&parser, fmt.Sprintf("%s[%d]", path, tables[path]), node)
			tables[path]++
		case unstable.KeyValue:
			p.keyValue(&parser, section, node)
		}
	}
	return p
}

func keyOf(node *unstable.Node) (key []string) {
	for it := node.Key(); it.Next(); {
		key = append(key, string(it.Node().Data))
	}
	return key
}

// indexed joins a key; parts that are arrays of tables get the index of the last.
func indexed(key []string, tables map[string]int) string {
	path := ""
	for i, part := range key {
		if i > 0 {
			path += "."
		}
		path += part
		if n := tables[path]; n > 0 && i < len(key)-1 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
	}
	return path
}

// note keeps where the key of an expression stands.
func (p places) note(parser *unstable.Parser, path string, node *unstable.Node) string {
	if it := node.Key(); it.Next() {
		p.put(parser, path, it.Node().Raw)
	}
	return path
}

func (p places) put(parser *unstable.Parser, path string, raw unstable.Range) {
	if _, ok := p[path]; !ok {
		start := parser.Shape(raw).Start
		p[path] = place{start.Line, start.Column}
	}
}

func (p places) keyValue(parser *unstable.Parser, section string, node *unstable.Node) {
	path := strings.Join(keyOf(node), ".")
	if section != "" {
		path = section + "." + path
	}
	p.note(parser, path, node)
	p.value(parser, path, node.Value())
}

func (p places) value(parser *unstable.Parser, path string, value *unstable.Node) {
	tables := 0
	for it := value.Children(); it.Next(); {
		switch child := it.Node(); child.Kind {
		case unstable.String:
			p.put(parser, path+"="+string(child.Data), child.Raw)
		case unstable.KeyValue:
			p.keyValue(parser, path, child)
		case unstable.InlineTable:
			element := fmt.Sprintf("%s[%d]", path, tables)
			tables++
			if first := child.Children(); first.Next() {
				p.note(parser, element, first.Node())
			}
			p.value(parser, element, child)
		}
	}
}
