package server

import (
	"fmt"
	"io"
	"log/slog"
)

func (l Log) handler(out io.Writer) (slog.Handler, error) {
	at, err := level(l.Level)
	if err != nil {
		return nil, err
	}
	options := &slog.HandlerOptions{Level: at}
	switch l.Format {
	case "json":
		return slog.NewJSONHandler(out, options), nil
	case "text":
		return slog.NewTextHandler(out, options), nil
	}
	return nil, fmt.Errorf("log.format %q: want json or text", l.Format)
}

// Logger writes to out as l says.
func (l Log) Logger(out io.Writer) (*slog.Logger, error) {
	h, err := l.handler(out)
	if err != nil {
		return nil, err
	}
	return slog.New(h), nil
}
