package report

import "encoding/json"

// What is reckoned for each action or delivery is 0 in these types, and null in
// JSON, where there was none.

// ArrivalQuantiles are Quantiles of what arrived.
type ArrivalQuantiles Quantiles

// known says whether anything arrived.
func (q ArrivalQuantiles) known() bool { return q != ArrivalQuantiles{} }

// MarshalJSON writes null where nothing arrived.
func (q ArrivalQuantiles) MarshalJSON() ([]byte, error) {
	if !q.known() {
		return []byte("null"), nil
	}
	return json.Marshal(Quantiles(q))
}

func orNull(x float64) *float64 {
	if x == 0 {
		return nil
	}
	return &x
}

// costs shadow the fields of their names in a struct that is embedded deeper.
type costs struct {
	PerAction   *float64 `json:"cpu_us_per_action"`
	PerDelivery *float64 `json:"cpu_us_per_delivery"`
}

func costsOrNull(perAction, perDelivery float64) costs {
	return costs{orNull(perAction), orNull(perDelivery)}
}

// MarshalJSON writes null for what is not known.
func (s Server) MarshalJSON() ([]byte, error) {
	type plain Server
	type rest struct{ plain }
	return json.Marshal(struct {
		rest
		costs
	}{rest{plain(s)}, costsOrNull(s.CPUUSPerAction, s.CPUUSPerDelivery)})
}

// MarshalJSON writes null for what is not known.
func (m Measure) MarshalJSON() ([]byte, error) {
	type plain Measure
	type rest struct{ plain }
	return json.Marshal(struct {
		rest
		costs
	}{rest{plain(m)}, costsOrNull(m.CPUUSPerAction, m.CPUUSPerDelivery)})
}

// MarshalJSON writes null for what is not known.
func (t Try) MarshalJSON() ([]byte, error) {
	type plain Try
	return json.Marshal(struct {
		plain
		P99       *float64 `json:"p99_ms"`
		PerAction *float64 `json:"cpu_us_per_action"`
	}{plain(t), orNull(t.P99MS), orNull(t.CPUUSPerAction)})
}

// MarshalJSON writes null for what is not known.
func (s Second) MarshalJSON() ([]byte, error) {
	type plain Second
	return json.Marshal(struct {
		plain
		P50 *float64 `json:"p50_ms"`
		P99 *float64 `json:"p99_ms"`
		Max *float64 `json:"max_ms"`
	}{plain(s), orNull(s.P50MS), orNull(s.P99MS), orNull(s.MaxMS)})
}

// MarshalJSON writes null for what is not known.
func (w Work) MarshalJSON() ([]byte, error) {
	type plain Work
	return json.Marshal(struct {
		plain
		Mean *float64 `json:"mean_ms"`
	}{plain(w), orNull(w.MeanMS)})
}
