package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Print writes a configuration struct as a commented TOML file.
func Print(settings any) string {
	var b strings.Builder
	b.WriteString("# Starling's settings. Later wins: this file, environment, flags.\n")
	printSection(&b, reflect.ValueOf(settings).Elem(), "")
	return b.String()
}

func printSection(b *strings.Builder, v reflect.Value, under string) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if !f.IsExported() || name == "" || name == "-" || isSection(f.Type) {
			continue
		}
		b.WriteString("\n")
		comment(b, f.Tag.Get("doc"))
		fmt.Fprintf(b, "# environment: %s\n%s = %s\n", EnvName(under+name), name, literal(v.Field(i)))
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if !f.IsExported() || name == "" || !isSection(f.Type) {
			continue
		}
		b.WriteString("\n")
		comment(b, f.Tag.Get("doc"))
		fmt.Fprintf(b, "[%s%s]\n", under, name)
		printSection(b, v.Field(i), under+name+".")
	}
}

// comment wraps text at about 90 columns.
func comment(b *strings.Builder, text string) {
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 90 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	if line != "#" {
		b.WriteString(line + "\n")
	}
}

func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return fmt.Sprintf("%q", x.String())
	case []string:
		quoted := make([]string, len(x))
		for i, s := range x {
			quoted[i] = fmt.Sprintf("%q", s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	if v.Kind() == reflect.String {
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v.Interface())
}

// Reference writes a configuration struct as Markdown: a table for each section,
// with the key, the default, the environment variable and the meaning.
func Reference(settings any) string {
	var b strings.Builder
	referenceSection(&b, reflect.ValueOf(settings).Elem(), "")
	return b.String()
}

func referenceSection(b *strings.Builder, v reflect.Value, under string) {
	t := v.Type()
	head := "\n| Key | Default | Environment | Meaning |\n| --- | --- | --- | --- |\n"
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if !f.IsExported() || name == "" || name == "-" || isSection(f.Type) {
			continue
		}
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "| `%s` | `%s` | `%s` | %s |\n", name, literal(v.Field(i)), EnvName(under+name), cell(f.Tag.Get("doc")))
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if !f.IsExported() || name == "" || !isSection(f.Type) {
			continue
		}
		fmt.Fprintf(b, "\n## `[%s%s]`\n\n%s\n", under, name, sentence(f.Tag.Get("doc")))
		referenceSection(b, v.Field(i), under+name+".")
	}
}

// cell is text inside a table.
func cell(text string) string { return strings.ReplaceAll(sentence(text), "|", "\\|") }

// sentence ends with a stop, however the tag has it.
func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
