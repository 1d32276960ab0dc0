package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/starling-vr/starling/world"
	"go.etcd.io/bbolt"
)

// The file, format 1. All numbers are big-endian.
//
//	format     "version"          -> number of the format
//	shards     place, cell        -> epoch(4) claim(8) dropped(8) snapshotAt(8) owner
//	entries    place, cell, seq   -> epoch(4) data
//	snapshots  place, cell        -> data
//
// How far a shard is follows from its last entry, or from dropped if it has
// none: so an append writes its entry and nothing else.
var (
	formatBucket    = []byte("format")
	shardsBucket    = []byte("shards")
	entriesBucket   = []byte("entries")
	snapshotsBucket = []byte("snapshots")
	versionKey      = []byte("version")
)

const formatVersion = 1

// head is what is known of a shard besides its entries.
type head struct {
	world.Holder
	dropped    uint64 // entries up to here are gone
	snapshotAt uint64
}

const headBytes = 4 + 8 + 8 + 8

func prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{formatBucket, shardsBucket, entriesBucket, snapshotsBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	format := tx.Bucket(formatBucket)
	stored := format.Get(versionKey)
	if stored == nil {
		return format.Put(versionKey, binary.BigEndian.AppendUint32(nil, formatVersion))
	}
	if len(stored) != 4 || binary.BigEndian.Uint32(stored) != formatVersion {
		return fmt.Errorf("the file is of format %x, this program reads %d: use the version of Starling that wrote it", stored, formatVersion)
	}
	return nil
}

type shardKey [16]byte

func keyOf(shard world.ShardID) (key shardKey) {
	binary.BigEndian.PutUint64(key[:8], uint64(shard.Place))
	binary.BigEndian.PutUint64(key[8:], shard.Cell)
	return key
}

type entryKey [24]byte

func entryKeyOf(shard world.ShardID, sequence uint64) (key entryKey) {
	prefix := keyOf(shard)
	copy(key[:], prefix[:])
	binary.BigEndian.PutUint64(key[16:], sequence)
	return key
}

func (h *head) encode() []byte {
	out := make([]byte, 0, headBytes+len(h.Owner))
	out = binary.BigEndian.AppendUint32(out, h.Epoch)
	out = binary.BigEndian.AppendUint64(out, h.Claim)
	out = binary.BigEndian.AppendUint64(out, h.dropped)
	out = binary.BigEndian.AppendUint64(out, h.snapshotAt)
	return append(out, h.Owner...)
}

// decodeHead reads what encode wrote; the sequence is not in it.
func decodeHead(in []byte) (head, error) {
	if len(in) < headBytes {
		return head{}, fmt.Errorf("%d bytes: want at least %d", len(in), headBytes)
	}
	var h head
	h.Epoch = binary.BigEndian.Uint32(in)
	h.Claim = binary.BigEndian.Uint64(in[4:])
	h.dropped = binary.BigEndian.Uint64(in[12:])
	h.snapshotAt = binary.BigEndian.Uint64(in[20:])
	h.Owner = string(in[headBytes:])
	if h.Epoch == 0 {
		return head{}, errors.New("epoch 0")
	}
	return h, nil
}

// storedHead reads a shard's record, without its sequence.
func storedHead(tx *bbolt.Tx, shard world.ShardID) (h head, found bool) {
	key := keyOf(shard)
	stored := tx.Bucket(shardsBucket).Get(key[:])
	if stored == nil {
		return head{}, false
	}
	h, err := decodeHead(stored)
	return h, err == nil
}

// readHeads reads all shards, each with its sequence.
func readHeads(tx *bbolt.Tx) (map[world.ShardID]head, error) {
	heads := make(map[world.ShardID]head)
	entries := tx.Bucket(entriesBucket).Cursor()
	err := tx.Bucket(shardsBucket).ForEach(func(key, stored []byte) error {
		h, err := decodeHead(stored)
		if err != nil || len(key) != len(shardKey{}) {
			return fmt.Errorf("embedded log: the record of shard %x is damaged (%v): restore the file from a backup or remove it", key, err)
		}
		shard := world.ShardID{
			Place: world.PlaceID(binary.BigEndian.Uint64(key)),
			Cell:  binary.BigEndian.Uint64(key[8:]),
		}
		h.Sequence = max(h.dropped, lastSequence(entries, shard))
		heads[shard] = h
		return nil
	})
	return heads, err
}

// lastSequence is 0 for a shard without entries.
func lastSequence(entries *bbolt.Cursor, shard world.ShardID) uint64 {
	end := entryKeyOf(shard, 1<<64-1)
	key, _ := entries.Seek(end[:])
	if !bytes.Equal(key, end[:]) {
		if key == nil {
			key, _ = entries.Last()
		} else {
			key, _ = entries.Prev()
		}
	}
	if len(key) != len(end) || !bytes.Equal(key[:16], end[:16]) {
		return 0
	}
	return binary.BigEndian.Uint64(key[16:])
}

// readEntries copies up to limit entries from the sequence on.
func readEntries(tx *bbolt.Tx, shard world.ShardID, from uint64, limit int) []world.Entry {
	var found []world.Entry
	first := entryKeyOf(shard, from)
	cursor := tx.Bucket(entriesBucket).Cursor()
	for key, stored := cursor.Seek(first[:]); len(found) < limit && key != nil; key, stored = cursor.Next() {
		if !bytes.Equal(key[:16], first[:16]) || len(stored) < 4 {
			break
		}
		found = append(found, world.Entry{
			Epoch:    binary.BigEndian.Uint32(stored),
			Sequence: binary.BigEndian.Uint64(key[16:]),
			Data:     bytes.Clone(stored[4:]),
		})
	}
	return found
}

func readSnapshot(tx *bbolt.Tx, shard world.ShardID) []byte {
	key := keyOf(shard)
	return bytes.Clone(tx.Bucket(snapshotsBucket).Get(key[:]))
}

// dropEntries removes the entries after dropped, up to keep.
func dropEntries(tx *bbolt.Tx, shard world.ShardID, dropped, keep uint64) error {
	bucket := tx.Bucket(entriesBucket)
	for sequence := dropped + 1; sequence <= keep; sequence++ {
		key := entryKeyOf(shard, sequence)
		if err := bucket.Delete(key[:]); err != nil {
			return err
		}
	}
	return nil
}
