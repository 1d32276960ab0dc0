package directory

import (
	"reflect"
	"testing"
)

// Whatever is in the store, reading it does not fail in a bad way, and what was
// read can be written and read again.
func FuzzDecodeRecord(f *testing.F) {
	whole := Record{ID: "owner-1", Incarnation: 7, Counter: 9, Term: 2, Roles: []Role{RoleOwner}, Address: "10.0.0.1:7000", Version: "1", Draining: true, Load: Load{Shards: 3}}
	data, err := whole.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"id":"a","incarnation":1,"unknown":{}}`))
	f.Add([]byte(`{"id":"","incarnation":1}`))
	f.Add([]byte(`{"id":"a","incarnation":-1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		decodeFields(map[string]string{nodeField + "a": string(data), drainField + "a": string(data), string(data): "1"})
		r, err := DecodeRecord(data)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		back, err := DecodeRecord(again)
		if err != nil && len(again) <= maxRecordBytes {
			t.Fatalf("%s: %v", again, err)
		}
		if err == nil && !reflect.DeepEqual(r, back) {
			t.Fatalf("%+v became %+v", r, back)
		}
	})
}
