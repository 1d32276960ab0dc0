package actions

// Wrap puts something around a function, a built-in one say.
func (r *Registry) Wrap(name string, around func(run func(*Call) Result) func(*Call) Result) {
	r.functions[name].Run = around(r.functions[name].Run)
}
