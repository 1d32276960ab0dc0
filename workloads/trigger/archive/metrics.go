package archive

import "github.com/prometheus/client_golang/prometheus"

// NewCollector makes what exports an archive's Stats to Prometheus, to be registered on
// a prometheus.Registerer.
func NewCollector(a *Archive) prometheus.Collector {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("starling_trigger_archive_"+name, help, nil, nil)
	}
	return &collector{
		archive: a,
		frames:  describe("events_total", "Events that were written to the archive."),
		written: describe("written_bytes_total", "Bytes of them, with their frames."),
		dropped: describe("dropped_files_total", "Files that were deleted for new ones."),
		syncs:   describe("syncs_total", "How often a file was forced to the disk."),
		failed:  describe("sync_failures_total", "How often that failed."),
		bytes:   describe("bytes", "Bytes that the archive's files hold."),
	}
}

type collector struct {
	archive                                        *Archive
	frames, written, dropped, syncs, failed, bytes *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.frames, c.written, c.dropped, c.syncs, c.failed, c.bytes} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.archive.Stats()
	count := func(d *prometheus.Desc, v uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	count(c.frames, s.Frames)
	count(c.written, s.FrameBytes)
	count(c.dropped, s.Dropped)
	count(c.syncs, s.Syncs)
	count(c.failed, s.SyncFailures)
	out <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(s.Bytes))
}
