package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t rapid.TB, folder string, o Options) *Archive {
	t.Helper()
	a, err := Open(folder, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func read(t rapid.TB, folder string) (all [][]byte, found Scanned) {
	t.Helper()
	found, err := Scan(folder, func(p []byte) error {
		all = append(all, bytes.Clone(p))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, found
}

// Whatever is appended, over any number of openings and segments, comes back whole
// and in order.
func TestWhatIsAppendedComesBack(t *testing.T) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		folder := filepath.Join(root, fmt.Sprint(n))
		var want [][]byte
		for range rapid.IntRange(1, 3).Draw(t, "openings") {
			a := open(t, folder, Options{SegmentBytes: int64(rapid.IntRange(1, 300).Draw(t, "segment")), Sync: SyncNever})
			for _, p := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 100), 0, 20).Draw(t, "payloads") {
				if err := a.Append(p); err != nil {
					t.Fatal(err)
				}
				want = append(want, p)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		got, found := read(t, folder)
		if len(got) != len(want) || found.TornBytes != 0 {
			t.Fatalf("%d frames of %d, %d bytes torn", len(got), len(want), found.TornBytes)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("frame %d differs", i)
			}
		}
	})
}

func TestAFullArchiveRefuses(t *testing.T) {
	folder := t.TempDir()
	a := open(t, folder, Options{SegmentBytes: 200, TotalBytes: 1000, Sync: SyncNever})
	kept := 0
	var full *FullError
	for {
		err := a.Append(make([]byte, 50))
		if errors.As(err, &full) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kept++
	}
	if s := a.Stats(); s.Bytes > 1000 || s.Bytes < 900 || int(s.Frames) != kept {
		t.Errorf("%+v", s)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, folder); len(got) != kept {
		t.Errorf("%d of %d", len(got), kept)
	}
}

func TestTheOldestMakeRoom(t *testing.T) {
	folder := t.TempDir()
	a := open(t, folder, Options{SegmentBytes: 200, TotalBytes: 1000, DropOldest: true, Sync: SyncNever})
	for i := range byte(100) {
		if err := a.Append(bytes.Repeat([]byte{i}, 50)); err != nil {
			t.Fatal(err)
		}
	}
	if s := a.Stats(); s.Bytes > 1000 || s.Dropped == 0 {
		t.Errorf("%+v", s)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, folder)
	for i, p := range got {
		if want := byte(100 - len(got) + i); p[0] != want {
			t.Fatalf("frame %d is %d, want %d", i, p[0], want)
		}
	}
}

// A process that dies in the middle of a frame loses that frame alone.
func TestATornEndIsNoDamage(t *testing.T) {
	folder := t.TempDir()
	a := open(t, folder, Options{Sync: SyncEach})
	for range 3 {
		if err := a.Append([]byte("event")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(folder, segmentName(0))
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(name, whole[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		got, found := read(t, folder)
		frames := max(cut-headerSize, 0) / (frameSize + 5)
		if len(got) != frames || int(found.TornBytes) != cut-min(cut, headerSize)*min(1, cut/headerSize)-frames*(frameSize+5) {
			t.Fatalf("cut at %d: %d frames, %+v", cut, len(got), found)
		}
	}
	b := open(t, folder, Options{})
	if err := b.Append([]byte("after")); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, folder); string(got[len(got)-1]) != "after" {
		t.Errorf("%q", got)
	}
}

func TestDamageIsFound(t *testing.T) {
	folder := t.TempDir()
	a := open(t, folder, Options{})
	for range 2 {
		if err := a.Append([]byte("event")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(folder, segmentName(0))
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		if err := os.WriteFile(name, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		found, err := Scan(folder, func([]byte) error { return nil })
		var damage *DamageError
		if !errors.As(err, &damage) && found.TornBytes == 0 {
			t.Fatalf("byte %d: %v, %+v", i, err, found)
		}
	}
}

func TestWrongPayloadsAndClosedArchives(t *testing.T) {
	a := open(t, t.TempDir(), Options{})
	var large *TooLargeError
	if err := a.Append(nil); !errors.As(err, &large) {
		t.Error(err)
	}
	if err := a.Append(make([]byte, MostFrame+1)); !errors.As(err, &large) {
		t.Error(err)
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Error(err)
	}
	if err := a.Append([]byte("late")); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(string([]byte{0}), "x"), Options{}); err == nil {
		t.Error("a folder that cannot be was opened")
	}
}

func TestFramesAreForcedInTime(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := open(t, folder, Options{Interval: 100 * time.Millisecond})
		if err := a.Append([]byte("event")); err != nil {
			t.Fatal(err)
		}
		<-time.After(250 * time.Millisecond)
		synctest.Wait()
		if s := a.Stats(); s.Syncs != 1 {
			t.Errorf("%+v: want one sync, nothing came since", s)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzScan(f *testing.F) {
	f.Add(appendFrame(header(0, 1), []byte("event")))
	f.Add(header(0, 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		var found Scanned
		err := scan(bufio.NewReader(bytes.NewReader(file)), "fuzz", &found, func([]byte) error { return nil })
		var damage *DamageError
		if err != nil && !errors.As(err, &damage) {
			t.Fatal(err)
		}
	})
}
