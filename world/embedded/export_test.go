package embedded

// Commits is how many transactions were committed.
func (l *Log) Commits() int {
	tx, err := l.db.Begin(false)
	if err != nil {
		return 0
	}
	defer tx.Rollback()
	return tx.ID()
}

// Fail does to the log what a failed commit does.
func (l *Log) Fail(why error) error { return l.failed(why) }

// Check reads the whole file and gives what is wrong with it.
func (l *Log) Check() (wrong []error) {
	tx, err := l.db.Begin(false)
	if err != nil {
		return []error{err}
	}
	defer tx.Rollback()
	for err := range tx.Check() {
		wrong = append(wrong, err)
	}
	return wrong
}
