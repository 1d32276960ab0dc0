package redistest_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-vr/starling/internal/redisproc"
	"github.com/starling-vr/starling/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKillAndRestartKeepWhatIsOnDisk(t *testing.T) {
	ctx := redistest.Context(t)
	s := redistest.Start(t, redisproc.Options{AppendOnly: true})
	client := s.Client()
	defer client.Close()
	if err := client.Set(ctx, "key", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := client.Get(ctx, "key").Err(); err == nil {
		t.Fatal("a killed server answers")
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(ctx, "key").Result(); got != "kept" {
		t.Errorf("got %q, %v after the restart", got, err)
	}
}

func TestSettingsThatAreRefusedAreTold(t *testing.T) {
	_, err := redisproc.Start(redistest.Context(t), redisproc.Options{MaxMemoryPolicy: "sometimes"})
	if err == nil || !strings.Contains(err.Error(), "maxmemory-policy") {
		t.Errorf("got %v, want what redis-server printed", err)
	}
}

func TestClusterFailsOverAndMovesSlots(t *testing.T) {
	ctx := redistest.Context(t)
	c := redistest.StartCluster(t, 3, 1, redisproc.Options{})
	slot, err := c.SlotOf(ctx, "key")
	if err != nil {
		t.Fatal(err)
	}
	master, err := c.MasterOf(ctx, slot)
	if err != nil {
		t.Fatal(err)
	}
	client := master.Client()
	defer client.Close()
	pipe := client.Pipeline()
	pipe.Set(ctx, "key", "moved", 0)
	acknowledged := pipe.Do(ctx, "WAIT", 1, 5000)
	if _, err := pipe.Exec(ctx); err != nil || acknowledged.Val() != int64(1) {
		t.Fatalf("%v replicas have it, %v", acknowledged.Val(), err)
	}
	if _, err := c.FailOver(ctx, slot); err != nil {
		t.Fatal(err)
	}
	if err := master.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitWhole(ctx); err != nil {
		t.Fatal(err)
	}
	target, err := c.MoveSlot(ctx, slot)
	if err != nil {
		t.Fatal(err)
	}
	at := target.Client()
	defer at.Close()
	if got, err := at.Get(ctx, "key").Result(); got != "moved" {
		t.Errorf("got %q, %v where the slot went", got, err)
	}
}
