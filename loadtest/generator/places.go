package generator

import (
	"context"
	"fmt"
	"math/rand/v2"

	starlingv1 "github.com/starling-vr/starling/api/starling/v1"
	starling "github.com/starling-vr/starling/clients/go"
	"github.com/starling-vr/starling/loadtest/scenario"
)

// Places are the places of a crowd, made for a run.
type Places struct {
	IDs    []uint64 // by scenario.Place.Index
	client *starling.Client
}

// CreatePlaces makes the places that a crowd needs, as a participant whose token
// has the scope "place:create". Close ends them.
func CreatePlaces(ctx context.Context, target, token string, places []scenario.Place) (*Places, error) {
	p := &Places{}
	if len(places) == 0 {
		return p, nil
	}
	u, err := ParseTarget(target)
	if err != nil {
		return nil, err
	}
	p.client, err = starling.Dial(ctx, u.String(), starling.Options{
		Token: starling.StaticToken(token), NoView: true, Name: "starling loadtest",
		Start: starling.Geographic(places[0].Lat, places[0].Lng, 0),
	})
	if err != nil {
		return nil, fmt.Errorf("to make places: %w", err)
	}
	for i := range places {
		id, err := p.create(ctx, &places[i])
		if err != nil {
			_ = p.client.Close()
			return nil, fmt.Errorf("place %d: %w (the token needs the scope place:create)", i, err)
		}
		p.IDs = append(p.IDs, id)
	}
	return p, nil
}

func (p *Places) create(ctx context.Context, place *scenario.Place) (uint64, error) {
	id := rand.Uint64()>>1 | 1 // so that runs do not meet
	out, err := p.client.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_CreatePlace{CreatePlace: &starlingv1.CreatePlace{
		Place: &starlingv1.Place{
			Id: id, Name: place.Name, Anchor: &starlingv1.Geo{Latitude: place.Lat, Longitude: place.Lng},
			Extent: float32(place.Extent), Capacity: uint32(place.Capacity),
		},
	}}})
	if err != nil {
		return 0, err
	}
	return out.Entity, nil
}

// Close ends the places, if asked to, and the connection.
func (p *Places) Close(ctx context.Context, end bool) error {
	if p.client == nil {
		return nil
	}
	var failed error
	for _, id := range p.IDs {
		if !end || failed != nil {
			break
		}
		_, failed = p.client.Act(ctx, &starlingv1.Act{Function: &starlingv1.Act_ClosePlace{ClosePlace: &starlingv1.ClosePlace{Place: id}}})
	}
	_ = p.client.Close()
	return failed
}
