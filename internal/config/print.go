package config

import (
	"fmt"
	"reflect"
	"sort"
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
	for _, f := range fields(v.Type()) {
		if isSection(f.Type) || isTable(f.Type) {
			continue
		}
		name := f.Tag.Get("toml")
		b.WriteString("\n")
		comment(b, f.Tag.Get("doc"))
		fmt.Fprintf(b, "# environment: %s\n%s = %s\n", EnvName(under+name), name, literal(v.FieldByIndex(f.Index)))
	}
	for _, f := range fields(v.Type()) {
		name := under + f.Tag.Get("toml")
		switch {
		case isSection(f.Type):
			b.WriteString("\n")
			comment(b, f.Tag.Get("doc"))
			fmt.Fprintf(b, "[%s]\n", name)
			printSection(b, v.FieldByIndex(f.Index), name+".")
		case isTable(f.Type):
			b.WriteString("\n")
			comment(b, f.Tag.Get("doc"))
			printTable(b, v.FieldByIndex(f.Index), name)
		}
	}
}

// printTable writes what a table has, and as a comment what it may have.
func printTable(b *strings.Builder, v reflect.Value, under string) {
	fmt.Fprintf(b, "#\n# [%s.NAME]\n", under)
	for _, f := range fields(v.Type().Elem()) {
		comment(b, f.Tag.Get("toml")+": "+f.Tag.Get("doc"))
	}
	names := v.MapKeys()
	sort.Slice(names, func(i, j int) bool { return names[i].String() < names[j].String() })
	for _, name := range names {
		fmt.Fprintf(b, "[%s.%q]\n", under, name.String())
		section := v.MapIndex(name)
		for _, f := range fields(section.Type()) {
			if value := section.FieldByIndex(f.Index); value.Kind() != reflect.Pointer {
				fmt.Fprintf(b, "%s = %s\n", f.Tag.Get("toml"), literal(value))
			} else if !value.IsNil() {
				fmt.Fprintf(b, "%s = %s\n", f.Tag.Get("toml"), literal(value.Elem()))
			}
		}
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
	head := "\n| Key | Default | Environment | Meaning |\n| --- | --- | --- | --- |\n"
	for _, f := range fields(v.Type()) {
		if isSection(f.Type) || isTable(f.Type) {
			continue
		}
		b.WriteString(head)
		head = ""
		name := f.Tag.Get("toml")
		fmt.Fprintf(b, "| `%s` | `%s` | `%s` | %s |\n", name, literal(v.FieldByIndex(f.Index)), EnvName(under+name), cell(f.Tag.Get("doc")))
	}
	for _, f := range fields(v.Type()) {
		name := under + f.Tag.Get("toml")
		switch {
		case isSection(f.Type):
			fmt.Fprintf(b, "\n## `[%s]`\n\n%s\n", name, sentence(f.Tag.Get("doc")))
			referenceSection(b, v.FieldByIndex(f.Index), name+".")
		case isTable(f.Type):
			fmt.Fprintf(b, "\n## `[%s.NAME]`\n\n%s\n\n| Key | Environment | Meaning |\n| --- | --- | --- |\n", name, sentence(f.Tag.Get("doc")))
			for _, of := range fields(f.Type.Elem()) {
				key := of.Tag.Get("toml")
				fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", key, EnvName(name+".NAME."+key), cell(of.Tag.Get("doc")))
			}
		}
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
