// Package preset holds the trained networks that come with the program: jet (16
// bytes, 8,512 operations), image (2 KB, 16,384 operations) and image-deep (2 KB, 132,224
// operations). `starling trigger train` made them, by the recipes of package training,
// seed 1.
package preset

import (
	"embed"

	"github.com/starling-vr/starling/workloads/trigger/network"
	"github.com/starling-vr/starling/workloads/trigger/training"
)

//go:embed *.weights
var files embed.FS

// Network gives a preset's trained network. The error is a *training.RecipeError if
// there is none of that name.
func Network(name string) (*network.Network, training.Recipe, error) {
	recipe, err := training.RecipeFor(name)
	if err != nil {
		return nil, recipe, err
	}
	file, err := files.ReadFile(name + ".weights")
	if err != nil {
		return nil, recipe, err
	}
	n, err := network.Decode(file)
	return n, recipe, err
}
