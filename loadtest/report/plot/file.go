package plot

import "strings"

// style gives a picture that stands by itself its colours, light or dark as the
// reader's screen is.
const style = `<style>.plot{--ground:#fcfaf4;--edge:#4634201f;--text:#211d14;--muted:#6d6553;--miss:#be123c;--s1:#12616b;--s2:#c2410c;--s3:#7c4d9e;--s4:#be123c;--s5:#6d6553;
background:var(--ground);font:12px system-ui,"Segoe UI","Liberation Sans",sans-serif}
@media (prefers-color-scheme:dark){.plot{--ground:#111623;--edge:#a0b4e624;--text:#e9ecf6;--muted:#94a0bd;--miss:#ff7183;--s1:#7fd8cb;--s2:#ffb84d;--s3:#c9a3f0;--s4:#ff7183;--s5:#94a0bd}}
.grid path{stroke:var(--edge);fill:none}.axis{stroke:var(--muted);fill:none;opacity:.6}.tick text,.label{fill:var(--muted)}.legend text,.value{fill:var(--text)}.foot{fill:var(--ground);font-size:11px}
.line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}rect,.dot{fill:var(--c)}.spot{fill:transparent}
.mark path{stroke:var(--miss);stroke-dasharray:4 4;fill:none}.mark text{fill:var(--miss);stroke:var(--ground);stroke-width:4;paint-order:stroke;stroke-linejoin:round}
.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}</style>`

// File draws it as a file of its own, for pages that have no style sheet for it.
func (p *Plot) File() string {
	svg := strings.Replace(p.SVG("plot"), "<svg ", `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="300" `, 1)
	head, rest, _ := strings.Cut(svg, ">")
	return head + ">" + style + rest + "\n"
}
