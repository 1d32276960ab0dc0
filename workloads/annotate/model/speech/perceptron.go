package speech

// perceptron learns a weight for each label in each row that features pick, and
// averages the weights over all its steps (Freund and Schapire 1999; Collins 2002).
type perceptron struct {
	labels  int
	weights []float32
	totals  []float32
	since   []int32
	step    int32
}

func newPerceptron(rows, labels int) *perceptron {
	n := rows * labels
	return &perceptron{labels: labels, weights: make([]float32, n), totals: make([]float32, n), since: make([]int32, n)}
}

// scores adds up the rows picked.
func (p *perceptron) scores(picked []uint32, sum []float32) {
	for _, r := range picked {
		row := p.weights[int(r)*p.labels : (int(r)+1)*p.labels]
		for k, w := range row {
			sum[k] += w
		}
	}
}

// learn moves the rows towards right and away from wrong.
func (p *perceptron) learn(picked []uint32, right, wrong int) {
	for _, r := range picked {
		p.move(int(r)*p.labels+right, 1)
		p.move(int(r)*p.labels+wrong, -1)
	}
}

func (p *perceptron) move(i int, by float32) {
	p.totals[i] += float32(p.step-p.since[i]) * p.weights[i]
	p.since[i] = p.step
	p.weights[i] += by
}

// averages gives the mean of each weight over all steps.
func (p *perceptron) averages() []float32 {
	mean := make([]float32, len(p.weights))
	for i, w := range p.weights {
		if p.since[i] != 0 || w != 0 {
			mean[i] = (p.totals[i] + float32(p.step-p.since[i])*w) / float32(p.step)
		}
	}
	return mean
}
