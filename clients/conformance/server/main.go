// Command server plays the conformance scenarios against a client library. It
// prints its address as the first line and ends when its standard input does.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/starling-vr/starling/clients/conformance"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	flag.Parse()
	if err := serve(*listen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(listen string) error {
	scenarios, err := conformance.Scenarios()
	if err != nil {
		return err
	}
	url, stop, err := conformance.NewServer(scenarios).Listen(listen)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println(url)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
