package server

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/starling-vr/starling/gateway/auth"
	"github.com/starling-vr/starling/workloads/annotate/service"
)

// DevScopes is what tokens of `starling dev` allow.
var DevScopes = []string{"spawn:any", "place:create", service.SubscribeScope}

// DevInfo is what the page of `starling dev` is told of the world.
type DevInfo struct {
	Center         DevCenter `json:"center"`
	CellResolution int       `json:"cell_resolution"`
	DeadlineUs     int64     `json:"deadline_us"`
	Crowd          int       `json:"crowd"`
	Store          string    `json:"store"`
	Survives       string    `json:"survives"`
	Version        string    `json:"version"`
	// Trigger says where the trigger's records come from; empty without a trigger.
	Trigger string `json:"trigger,omitempty"`
}

// DevCenter is where the page looks first.
type DevCenter struct {
	Latitude  float64 `json:"latitude"`  // degrees
	Longitude float64 `json:"longitude"` // degrees
}

// DevRoutes adds what only `starling dev` serves: GET /dev/info, and POST
// /dev/token, which gives anybody a token. Never serve it in production.
func DevRoutes(mux *http.ServeMux, key string, info DevInfo) {
	mux.HandleFunc("GET /dev/info", func(w http.ResponseWriter, _ *http.Request) { reply(w, info) })
	mux.Handle("POST /dev/token", &devTokens{key: key})
}

type devTokens struct {
	key    string
	issued atomic.Int64
}

func (d *devTokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A page elsewhere must not fetch tokens through somebody's browser.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		http.Error(w, "tokens are for the page of this server", http.StatusForbidden)
		return
	}
	var request struct {
		Name string `json:"name"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&request); err != nil {
		http.Error(w, `want a JSON object like {"name": "Ada"}`, http.StatusBadRequest)
		return
	}
	participant := "guest-" + time.Now().Format("150405") + "-" + strconv.FormatInt(d.issued.Add(1), 10)
	token, err := auth.Mint([]byte(d.key), participant, DevScopes, 24*time.Hour, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, map[string]string{"token": token, "participant": participant})
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(value)
}
