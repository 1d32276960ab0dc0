package world

import "math"

// EarthRadius is the radius in metres of the sphere on which distances are
// measured: the mean radius R1 of the WGS 84 ellipsoid (IUGG). Distances on it
// differ from those on the ellipsoid by up to 0.56 %.
const EarthRadius = 6_371_008.8

const radian = math.Pi / 180 // radians per degree

// shortDegrees bounds the differences for which Metres treats the Earth as flat.
const shortDegrees = 0.1

// Metres is the distance between two positions on the ground along the sphere
// of EarthRadius; altitudes do not count. Between positions less than 0.1
// degrees apart (11 km) and below 80 degrees of latitude it is computed flat,
// with the cosine of the middle latitude, and at most 4 mm off the haversine
// formula.
func Metres(a, b Geo) float64 {
	north := b.Lat - a.Lat
	east := wrapDegrees(b.Lng - a.Lng)
	middle := (a.Lat + b.Lat) / 2
	if math.Abs(north) < shortDegrees && math.Abs(east) < shortDegrees && math.Abs(middle) < 80 {
		east *= math.Cos(middle * radian)
		return EarthRadius * radian * math.Sqrt(north*north+east*east)
	}
	return haversine(a.Lat*radian, b.Lat*radian, north*radian, east*radian)
}

// haversine takes radians. Source: R. W. Sinnott, "Virtues of the Haversine",
// Sky and Telescope 68 (1984).
func haversine(latA, latB, north, east float64) float64 {
	sinNorth, sinEast := math.Sin(north/2), math.Sin(east/2)
	h := sinNorth*sinNorth + math.Cos(latA)*math.Cos(latB)*sinEast*sinEast
	return 2 * EarthRadius * math.Asin(math.Sqrt(min(1, h)))
}

// wrapDegrees brings a difference of longitudes into -180..180.
func wrapDegrees(d float64) float64 {
	switch {
	case d > 180:
		return d - 360
	case d < -180:
		return d + 360
	}
	return d
}
