// Package version says which Starling this is.
package version

import "runtime/debug"

const release = "0.1.0-dev"

// String is the release, with the revision it was built from where the build
// recorded it.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return release + "+" + s.Value[:12]
		}
	}
	return release
}
