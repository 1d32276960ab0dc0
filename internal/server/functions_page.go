package server

import (
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"

	clusterv1 "github.com/starling-vr/starling/api/cluster/v1"
	"github.com/starling-vr/starling/regions"
)

// serveFunctions answers GET /functions: the accounts of this process as
// `starling functions` is told them, in protobuf's JSON (64-bit integers are strings).
func (s *Server) serveFunctions(w http.ResponseWriter, _ *http.Request) {
	said := new(clusterv1.ListFunctionsReply)
	if s.scheduler != nil {
		said.Functions = regions.FunctionStatuses(s.node.ID(), s.scheduler.Accounts())
	}
	body, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(said)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}
