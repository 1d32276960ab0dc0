package annotate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/starling-vr/starling/invoke"
	"github.com/starling-vr/starling/invoke/workflow"
)

// Synthetic functions as the paper models them: F_1 .. F_n with run times of 0.1 D to
// 0.9 D for the largest document, in proportion to its size, and workflows W_1 .. W_m
// of them that take 0.5 D to 0.95 D. They burn the processor; nothing sleeps.
type Synthetic struct {
	// Functions is n, Workflows is m.
	Functions, Workflows int
	// FunctionShare and WorkflowShare are the run times as shares of D.
	FunctionShare, WorkflowShare Share
	// Optional makes the last function of workflows with at least two optional.
	Optional bool
	// Rate is the guaranteed rate of all workflows together, 0 for best effort.
	Rate float64
	// Memory is how many bytes a document holds.
	Memory int64
	// Workers run them. 0: one for each core.
	Workers int
}

// Share is a range of shares.
type Share struct{ From, To float64 }

// load is a synthetic document.
type load struct {
	size int
	sink uint64
}

// SyntheticTarget runs synthetic functions in this process.
type SyntheticTarget struct {
	local
	engine *workflow.Engine[load]
	flows  []*workflow.Workflow[load]
	free   chan *workflow.Run[load]
	words  int
}

// NewSynthetic deploys synthetic functions and workflows for documents of up to so
// many words.
func NewSynthetic(o Synthetic, deadline time.Duration, words int, seed uint64) (*SyntheticTarget, error) {
	t := &SyntheticTarget{words: words, free: make(chan *workflow.Run[load], 4096)}
	t.scheduler = invoke.New(invoke.Config{Workers: o.Workers, ShortWorkers: -1, Reservable: 1})
	if err := t.deploy(o, deadline, words, seed); err != nil {
		return nil, errors.Join(err, t.Close(context.Background()))
	}
	return t, nil
}

func (t *SyntheticTarget) deploy(o Synthetic, deadline time.Duration, words int, seed uint64) error {
	t.engine = workflow.New[load](t.scheduler, workflow.Options{ReferenceSize: words})
	random := rand.New(rand.NewPCG(seed, 0xf0))
	burner := calibrate()
	var shares []float64
	for i := range o.Functions {
		share := o.FunctionShare.From + random.Float64()*(o.FunctionShare.To-o.FunctionShare.From)
		shares = append(shares, share)
		took := time.Duration(share * float64(deadline))
		err := t.engine.Register(workflow.Function[load]{
			Name: fmt.Sprintf("F_%d", i+1), RunTime: took, Bound: 10*took + time.Second,
			Run: func(r *workflow.Run[load]) error {
				d := r.Document
				d.sink += burner.burn(time.Duration(float64(took) * float64(d.size) / float64(words)))
				return nil
			},
		})
		if err != nil {
			return err
		}
	}
	for i := range o.Workflows {
		chosen, err := choose(random, shares, o.WorkflowShare)
		if err != nil {
			return err
		}
		g := workflow.Graph[load]{
			Name: fmt.Sprintf("W_%d", i+1), Deadline: deadline, Hard: true, Rate: o.Rate / float64(o.Workflows), Memory: o.Memory,
			Queue: 1 << 20,
		}
		for k, f := range chosen {
			s := workflow.Step[load]{Function: fmt.Sprintf("F_%d", f+1)}
			if o.Optional && k > 0 && k == len(chosen)-1 {
				s.Shed = 1
			}
			g.Steps = append(g.Steps, s)
		}
		flow, err := t.engine.Deploy(g)
		if err != nil {
			return err
		}
		t.flows = append(t.flows, flow)
	}
	return nil
}

// choose draws functions until a workflow takes as long as it should.
func choose(random *rand.Rand, shares []float64, total Share) ([]int, error) {
	for range 10000 {
		var chosen []int
		sum := 0.0
		for _, f := range random.Perm(len(shares)) {
			if sum+shares[f] <= total.To {
				sum += shares[f]
				chosen = append(chosen, f)
			}
			if sum >= total.From && random.IntN(3) == 0 {
				break
			}
		}
		if sum >= total.From {
			return chosen, nil
		}
	}
	return nil, fmt.Errorf("no workflow of these %d functions takes %g to %g of the deadline: add functions, or change the shares", len(shares), total.From, total.To)
}

// Begin implements Target.
func (t *SyntheticTarget) Begin(_ context.Context, spec *Spec, answered func(int, *Answer)) error {
	t.begin(spec, answered)
	return nil
}

// Send implements Target. Documents go to the workflows in turn.
func (t *SyntheticTarget) Send(from, to int) {
	for number := from; number < to; number++ {
		r := t.run()
		r.Document.size = t.spec.Words.Draw(t.spec.Seed, number)
		r.Size, r.Arrived, r.Deadline, r.Payload = r.Document.size, t.arrived(number), 0, &t.numbers[number]
		t.underWay.Add(1)
		if err := t.flows[number%len(t.flows)].Submit(r); err != nil {
			t.refuse(number, err)
			t.ended(r)
		}
	}
}

func (t *SyntheticTarget) run() *workflow.Run[load] {
	select {
	case r := <-t.free:
		return r
	default:
		return &workflow.Run[load]{Document: new(load), Done: t.done}
	}
}

func (t *SyntheticTarget) done(r *workflow.Run[load]) {
	a := outcome(r)
	t.answer(*r.Payload.(*int), &a)
	t.ended(r)
}

func (t *SyntheticTarget) ended(r *workflow.Run[load]) {
	if !r.Abandoned() {
		select {
		case t.free <- r:
		default:
		}
	}
	t.underWay.Done()
}

// burner burns the processor for a time: so many rounds of arithmetic as took that
// long when nothing disturbed it.
type burner struct {
	perRound float64 // ns
	sink     uint64  // so that nobody finds the work needless
}

func calibrate() burner {
	const rounds = 200_000
	best, sink := time.Duration(1<<62), uint64(0)
	for range 20 {
		began := time.Now()
		sink += churn(rounds)
		best = min(best, time.Since(began))
	}
	return burner{float64(best) / rounds, sink}
}

func (b burner) burn(d time.Duration) uint64 { return churn(int(float64(d) / b.perRound)) }

// churn is a xorshift generator (Marsaglia, 2003), which no compiler shortens.
//
//go:noinline
func churn(rounds int) uint64 {
	x := uint64(88172645463325252)
	for range rounds {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}
