package annotate

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// Door is where a server takes documents over HTTP/1.1.
type Door struct {
	// URL of the server; its path is replaced by that of the API.
	URL string
	// Token is sent as a bearer token, "" for none.
	Token string
	// Connections is how many are kept open. Default 8.
	Connections int
	// Meter tells what the server uses; nil if nobody does.
	Meter Meter
}

// Path is where documents are posted.
const Path = "/v1/annotate"

// dialTime bounds the making of a connection.
const dialTime = 10 * time.Second

// dial opens a connection to the server.
func (d *Door) dial() (net.Conn, string, error) {
	u, err := url.Parse(d.URL)
	if err != nil {
		return nil, "", err
	}
	host := u.Host
	secure := u.Scheme == "https" || u.Scheme == "wss"
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[bool]string{false: "80", true: "443"}[secure])
	}
	dialer := net.Dialer{Timeout: dialTime}
	var conn net.Conn
	switch {
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "ws" && !secure:
		err = fmt.Errorf("%q: want a URL like http://127.0.0.1:8080", d.URL)
	case secure:
		conn, err = tls.DialWithDialer(&dialer, "tcp", host, &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}})
	default:
		conn, err = dialer.Dial("tcp", host)
	}
	return conn, u.Host, err
}

func (d *Door) connections() int {
	if d.Connections > 0 {
		return d.Connections
	}
	return 8
}

// appendHeader appends the head of a request but for its last lines.
func (d *Door) appendHeader(dst []byte, host, contentType string) []byte {
	dst = append(dst, "POST "+Path+" HTTP/1.1\r\nHost: "+host+"\r\nContent-Type: "+contentType+"\r\n"...)
	if d.Token != "" {
		dst = append(dst, "Authorization: Bearer "+d.Token+"\r\n"...)
	}
	return dst
}

// appendDocument appends document number as a JSON object.
func (s *Spec) appendDocument(dst []byte, number int) []byte {
	dst = append(dst, `{"id":"`...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	dst = append(dst, '"')
	if s.Workflow != "" {
		dst = append(dst, `,"workflow":`...)
		name, _ := json.Marshal(s.Workflow) // a string can always be written
		dst = append(dst, name...)
	}
	dst = append(dst, `,"text":"`...)
	dst, html := s.Corpus.Document(dst, uint64(number), s.Words.Draw(s.Seed, number), true)
	if html {
		return append(dst, `","format":"html"}`...)
	}
	return append(dst, `","format":"text"}`...)
}

// reply is what an answer has beside annotations.
type reply struct {
	ID        string            `json:"id"`
	Late      bool              `json:"late"`
	Functions map[string]string `json:"functions"`
	Error     *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// readAnswer reads a line of answer. Annotations are not decoded: what became of the
// functions, lateness and error stand behind them, and keys cannot stand in strings, where
// quotes are escaped.
func readAnswer(line []byte) (number int, a Answer, err error) {
	a.Bytes = len(line)
	number, known := leadingID(line)
	end := fate(line)
	if known && bytes.HasPrefix(end, []byte(`"late":false,`)) && !bytes.Contains(end, []byte(`"error":`)) {
		return number, a, nil
	}
	var r reply
	text := line
	if known && end != nil {
		text = append([]byte{'{'}, end...)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return 0, a, fmt.Errorf("an answer that is no JSON: %w: %.200q", err, line)
	}
	if !known {
		if number, err = strconv.Atoi(r.ID); err != nil {
			return 0, a, fmt.Errorf("an answer without the id of a document: %.200q", line)
		}
	}
	a.Late, a.Missing = r.Late, r.Functions
	if r.Error != nil {
		a.Code, a.Message = r.Error.Code, r.Error.Message
	}
	return number, a, nil
}

// fate is an answer from its "functions", or "late" if it has none, to its end; nil if it
// has neither, as refusals.
func fate(line []byte) []byte {
	late := bytes.LastIndex(line, []byte(`,"late":`))
	if late < 0 {
		return nil
	}
	const functions = `,"functions":`
	open := bytes.LastIndexByte(line[:late], '{') // there are no objects in it
	if from := open - len(functions); from >= 0 && line[late-1] == '}' && bytes.HasPrefix(line[from:], []byte(functions)) {
		return line[from+1:]
	}
	return line[late+1:]
}

// leadingID reads {"id":"123" at the beginning of an answer.
func leadingID(line []byte) (number int, ok bool) {
	const begin = `{"id":"`
	if !bytes.HasPrefix(line, []byte(begin)) {
		return 0, false
	}
	for i := len(begin); i < len(line) && i < len(begin)+10; i++ {
		c := line[i]
		if c == '"' {
			return number, i > len(begin)
		}
		if c < '0' || c > '9' {
			return 0, false
		}
		number = number*10 + int(c-'0')
	}
	return 0, false
}
