package history

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

const (
	goodHeader = `{"history":1,"masters":{"a":"a-0"}}`
	invoke1    = `{"t":10,"op":1,"p":1,"type":"invoke","f":"send","value":1}`
	ok1        = `{"t":20,"op":1,"p":1,"type":"ok","f":"send","value":1,"queue":"a/T/0","offset":0,"status":"SEND_OK"}`
	poll2      = `{"t":30,"op":2,"p":1,"type":"invoke","f":"poll","queue":"a/T/0","from":0}`
	read3      = `{"t":30,"op":3,"p":1,"type":"invoke","f":"read","queue":"a/T/0","node":"a-0","from":0}`
)

func TestMalformed(t *testing.T) {
	j := func(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
	fault := func(t, phase string) string {
		return `{"t":` + t + `,"op":9,"p":-1,"type":"info","f":"fault","name":"power","nodes":["a-0"],"phase":"` + phase + `"}`
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "f:1: no header"},
		{"no header", j(invoke1), "f:1: no header"},
		{"a blank header", j("", goodHeader), "f:1: no header"},
		{"a header that is not JSON", j(`{"history":1`), "f:1: not JSON"},
		{"a header that is not an object", j(`[1]`), "f:1: not a JSON object"},
		{"another version", j(`{"history":2,"masters":{}}`), "f:1: history version 2 is not known"},
		{"no masters", j(`{"history":1}`), "f:1: a header without masters"},
		{"an unknown level", j(`{"history":1,"masters":{},"promises":{"X":{"copies":1,"level":"tape"}}}`), `f:1: header: unknown level "tape"`},
		{"copies without a level", j(`{"history":1,"masters":{},"promises":{"X":{"copies":1}}}`), `f:1: header: unknown level ""`},
		{"an unknown acker level", j(`{"history":1,"masters":{},"promises":{"X":{"acker":"ram"}}}`), `f:1: header: unknown level "ram"`},
		{"an unknown level of reads", j(`{"history":1,"masters":{},"readsLevel":"tape"}`), `f:1: header: unknown level "tape"`},
		{"a base of no queue", j(`{"history":1,"masters":{},"base":{"a":5}}`), `f:1: header: queue "a" is not group/topic/id`},
		{"a negative base", j(`{"history":1,"masters":{},"base":{"a/T/0":-5}}`), "f:1: header: base of a/T/0"},
		{"a base that is not an integer", j(`{"history":1,"masters":{},"base":{"a/T/0":1.5}}`), "f:1: header"},
		{"nodes that are no list", j(`{"history":1,"masters":{},"nodes":"a"}`), "f:1: header"},
		{"a second header", j(goodHeader, goodHeader), "f:2: a second header"},
		{"a blank line", j(goodHeader, "", invoke1), "f:2: a blank line"},
		{"a line of spaces", j(goodHeader, "  ", invoke1), "f:2: a blank line"},
		{"a blank line at the end", j(goodHeader, invoke1, ok1, ""), "f:4: a blank line"},
		{"not JSON", j(goodHeader, invoke1, `{"t":20`), "f:3: not JSON"},
		{"not JSON in a field that nobody knows", j(goodHeader, strings.Replace(invoke1, `"p"`, `"x":[1,}],"p"`, 1)), "f:2: not JSON"},
		{"two values on a line", j(goodHeader, invoke1+invoke1), "f:2: not JSON"},
		{"a number", j(goodHeader, "7"), "f:2: not a JSON object"},
		{"cut off in the middle of a line", goodHeader + "\n" + invoke1 + "\n" + ok1[:30], "f:3: not JSON"},
		{"t goes back", j(goodHeader, invoke1, strings.Replace(ok1, "20", "9", 1)), "f:3: t goes back"},
		{"no t", j(goodHeader, `{"op":1,"p":1,"type":"invoke","f":"send","value":1}`), "f:2: missing t"},
		{"no op", j(goodHeader, `{"t":1,"p":1,"type":"invoke","f":"send","value":1}`), "f:2: missing op"},
		{"no p", j(goodHeader, `{"t":1,"op":1,"type":"invoke","f":"send","value":1}`), "f:2: missing p"},
		{"no type", j(goodHeader, `{"t":1,"op":1,"p":1,"f":"send","value":1}`), "f:2: missing type"},
		{"no f", j(goodHeader, `{"t":1,"op":1,"p":1,"type":"invoke","value":1}`), "f:2: missing f"},
		{"null is nothing", j(goodHeader, `{"t":null,"op":1,"p":1,"type":"invoke","f":"send","value":1}`), "f:2: missing t"},
		{"an unknown type", j(goodHeader, strings.Replace(invoke1, "invoke", "begin", 1)), `f:2: unknown type "begin"`},
		{"an unknown f", j(goodHeader, strings.Replace(invoke1, "send", "receive", 1)), `f:2: unknown f "receive"`},
		{"a send without value", j(goodHeader, `{"t":1,"op":1,"p":1,"type":"invoke","f":"send"}`), "f:2: a send without value"},
		{"a completion of a send without value", j(goodHeader, invoke1, strings.Replace(ok1, `"value":1,`, "", 1)), "f:3: a send without value"},
		{"t that is not an integer", j(goodHeader, strings.Replace(invoke1, `"t":10`, `"t":1e1`, 1)), "f:2: t is not an integer"},
		{"t with a fraction", j(goodHeader, strings.Replace(invoke1, `"t":10`, `"t":10.0`, 1)), "f:2: t is not an integer"},
		{"t that is a string", j(goodHeader, strings.Replace(invoke1, `"t":10`, `"t":"10"`, 1)), "f:2: t is not an integer"},
		{"a negative t", j(goodHeader, strings.Replace(invoke1, `"t":10`, `"t":-10`, 1)), "f:2: t is not an integer"},
		{"op of 2^63", j(goodHeader, strings.Replace(invoke1, `"op":1`, `"op":9223372036854775808`, 1)), "f:2: op is not an integer"},
		{"value of 2^63", j(goodHeader, strings.Replace(invoke1, `"value":1`, `"value":9223372036854775808`, 1)), "f:2: value is not an integer"},
		{"value of 2^70", j(goodHeader, strings.Replace(invoke1, `"value":1`, `"value":1180591620717411303424`, 1)), "f:2: value is not an integer"},
		{"a negative offset", j(goodHeader, invoke1, strings.Replace(ok1, `"offset":0`, `"offset":-1`, 1)), "f:3: offset is not an integer"},
		{"a negative end", j(goodHeader, poll2, `{"t":40,"op":2,"p":1,"type":"ok","f":"poll","queue":"a/T/0","msgs":[],"end":-1}`), "f:3: end is not an integer"},
		{"an offset of a message", j(goodHeader, poll2, `{"t":40,"op":2,"p":1,"type":"ok","f":"poll","queue":"a/T/0","msgs":[[-1,2]]}`), "f:3: a message is not"},
		{"a message without value", j(goodHeader, poll2, `{"t":40,"op":2,"p":1,"type":"ok","f":"poll","queue":"a/T/0","msgs":[[1]]}`), "f:3: a message is not"},
		{"a message with another third element", j(goodHeader, poll2, `{"t":40,"op":2,"p":1,"type":"ok","f":"poll","queue":"a/T/0","msgs":[[1,2,"bad"]]}`), "f:3: a message is not"},
		{"a queue of two parts", j(goodHeader, strings.Replace(invoke1, `"value"`, `"queue":"a/T","value"`, 1)), `f:2: queue "a/T" is not group/topic/id`},
		{"a queue of four parts", j(goodHeader, strings.Replace(invoke1, `"value"`, `"queue":"a/b/T/0","value"`, 1)), `f:2: queue "a/b/T/0" is not`},
		{"a queue without a number", j(goodHeader, strings.Replace(invoke1, `"value"`, `"queue":"a/T/x","value"`, 1)), `f:2: queue "a/T/x" is not`},
		{"a queue that is no string", j(goodHeader, strings.Replace(invoke1, `"value"`, `"queue":5,"value"`, 1)), "f:2: queue is not a string"},
		{"a completion without invoke", j(goodHeader, ok1), "f:2: a completion of operation 1, which was not invoked"},
		{"a second completion", j(goodHeader, invoke1, ok1, ok1), "f:4: a second completion of operation 1"},
		{"a completion after info", j(goodHeader, invoke1, `{"t":15,"op":1,"p":1,"type":"info","f":"send","value":1}`, ok1), "f:4: a second completion"},
		{"a second invoke", j(goodHeader, invoke1, invoke1), "f:3: a second invoke of operation 1"},
		{"an ok send without queue", j(goodHeader, invoke1, strings.Replace(ok1, `"queue":"a/T/0",`, "", 1)), "f:3: an ok send without queue"},
		{"an ok send without offset", j(goodHeader, invoke1, strings.Replace(ok1, `"offset":0,`, "", 1)), "f:3: an ok send without offset"},
		{"an ok send without status", j(goodHeader, invoke1, strings.Replace(ok1, `,"status":"SEND_OK"`, "", 1)), "f:3: an ok send without status"},
		{"an ok poll without msgs", j(goodHeader, poll2, `{"t":40,"op":2,"p":1,"type":"ok","f":"poll","queue":"a/T/0"}`), "f:3: an ok poll without msgs"},
		{"an ok read without msgs", j(goodHeader, read3, `{"t":40,"op":3,"p":1,"type":"ok","f":"read","queue":"a/T/0","node":"a-0"}`), "f:3: an ok read without msgs"},
		{"a read without node", j(goodHeader, strings.Replace(read3, `"node":"a-0",`, "", 1)), "f:2: a read without node"},
		{"another f", j(goodHeader, invoke1, `{"t":20,"op":1,"p":1,"type":"ok","f":"poll","queue":"a/T/0","msgs":[]}`), "f:3: a completion that contradicts its invoke: f"},
		{"another value", j(goodHeader, invoke1, strings.Replace(ok1, `"value":1`, `"value":2`, 1)), "f:3: a completion that contradicts its invoke: value"},
		{"another queue", j(goodHeader, strings.Replace(invoke1, `"value"`, `"queue":"a/T/1","value"`, 1), ok1), "f:3: a completion that contradicts its invoke: queue"},
		{"another node", j(goodHeader, read3, `{"t":40,"op":3,"p":1,"type":"ok","f":"read","queue":"a/T/0","node":"a-1","msgs":[]}`), "f:3: a completion that contradicts its invoke: node"},
		{"another from", j(goodHeader, poll2, `{"t":40,"op":2,"p":1,"type":"ok","f":"poll","queue":"a/T/0","from":1,"msgs":[]}`), "f:3: a completion that contradicts its invoke: from"},
		{"heal before restart", j(goodHeader, fault("1", "start"), fault("2", "down"), fault("3", "heal"), fault("4", "restart")), "f:5: fault phases out of order"},
		{"a fault without start", j(goodHeader, fault("2", "down")), "f:2: fault phases out of order"},
		{"a fault with two starts", j(goodHeader, fault("1", "start"), fault("2", "start")), "f:3: fault phases out of order"},
		{"an unknown phase", j(goodHeader, fault("1", "begin")), `f:2: unknown phase "begin"`},
		{"a fault without name", j(goodHeader, strings.Replace(fault("1", "start"), `"name":"power",`, "", 1)), "f:2: a fault without name"},
		{"a role line of another type", j(goodHeader, `{"t":1,"op":5,"p":-1,"type":"ok","f":"role","queueGroup":"a","node":"a-1","role":"master"}`), "f:2: a role line of a type other than info"},
		{"a role line of a client", j(goodHeader, `{"t":1,"op":5,"p":1,"type":"info","f":"role","queueGroup":"a","node":"a-1","role":"master"}`), "f:2: a role line of a client"},
		{"a role line without queueGroup", j(goodHeader, `{"t":1,"op":5,"p":-1,"type":"info","f":"role","node":"a-1","role":"master"}`), "f:2: a role line without queueGroup"},
		{"a caught-up line without node", j(goodHeader, `{"t":1,"op":5,"p":-1,"type":"info","f":"caught-up","queueGroup":"a"}`), "f:2: a caught-up line without node"},
		{"a role line with the op of a fault", j(goodHeader, fault("1", "start"), `{"t":1,"op":9,"p":-1,"type":"info","f":"role","queueGroup":"a","node":"a-1","role":"master"}`), "f:3: a role line with the operation 9 of another"},
		{"a fault with the op of a send", j(goodHeader, invoke1, strings.Replace(fault("11", "start"), `"op":9`, `"op":1`, 1)), "f:3: operation 1 is used twice"},
		{"a commit without offset", j(goodHeader, `{"t":1,"op":5,"p":1,"type":"invoke","f":"commit","queue":"a/T/0","group":"g"}`), "f:2: a commit without queue, group or offset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadLines("f", strings.NewReader(c.text))
			if !errors.Is(err, ErrMalformed) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// endless is a reader of zeros that counts them.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	clear(b)
	e.read += len(b)
	if e.read > 4*headerMax {
		return 0, errors.New("still read on")
	}
	return len(b), nil
}

// TestEndlessLine gives up on what has no lines before it fills the memory.
func TestEndlessLine(t *testing.T) {
	if _, err := ReadLines("f", &endless{}); err == nil || err.Error() != "f:1: not JSON" {
		t.Errorf("got %v", err)
	}
}

func TestWellFormed(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"nothing but a header", goodHeader + "\n"},
		{"no line feed at the end", goodHeader + "\n" + invoke1 + "\n" + ok1},
		{"unknown fields", goodHeader + "\n" + strings.Replace(invoke1, `"p"`, `"x":{"a":[1,2.5e3,null,true,"\u00e9\n"]},"name":5,"nodes":"x","p"`, 1) + "\n"},
		{"carriage returns", goodHeader + "\r\n" + invoke1 + "\r\n"},
		{"spaces", goodHeader + "\n" + ` { "t" : 10 , "op" : 1 ,"p": 1,"type":"invoke","f":"send","value": 1 } ` + "\n"},
		{"escaped keys and values", goodHeader + "\n" + strings.Replace(invoke1, `"type":"invoke"`, `"\u0074ype":"inv\u006fke"`, 1) + "\n"},
		{"an error that is an object", goodHeader + "\n" + invoke1 + "\n" + `{"t":15,"op":1,"p":1,"type":"info","f":"send","value":1,"error":{"code":2}}` + "\n"},
		{"the largest integers", goodHeader + "\n" + `{"t":9223372036854775807,"op":9223372036854775807,"p":1,"type":"invoke","f":"send","value":9223372036854775807}` + "\n"},
		{"a fault that stops nothing", goodHeader + "\n" + `{"t":1,"op":5,"p":-1,"type":"info","f":"fault","name":"pause","nodes":["a-0"],"phase":"start"}` + "\n" +
			`{"t":2,"op":5,"p":-1,"type":"info","f":"fault","name":"pause","nodes":["a-0"],"phase":"heal","effect":{"ms":0.5}}` + "\n"},
		{"a commit", goodHeader + "\n" + `{"t":1,"op":5,"p":1,"type":"invoke","f":"commit","queue":"a/T/0","group":"g","offset":3}` + "\n" +
			`{"t":2,"op":5,"p":1,"type":"ok","f":"commit"}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ReadLines("f", strings.NewReader(c.text)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLinesAcrossChunks makes sure that a rule broken far into a large file is reported with its line, whichever core
// parsed it.
func TestLinesAcrossChunks(t *testing.T) {
	var b strings.Builder
	b.WriteString(goodHeader + "\n")
	n := 1
	for b.Len() < 3*chunkBytes {
		b.WriteString(`{"t":10,"op":` + strconv.Itoa(n) + `,"p":1,"type":"invoke","f":"send","value":` + strconv.Itoa(n) + "}\n")
		n++
	}
	if h, err := ReadLines("f", strings.NewReader(b.String())); err != nil || len(h.Sends) != n-1 {
		t.Fatal(err)
	}
	_, err := ReadLines("f", strings.NewReader(b.String()+"{}\n"+b.String()))
	if want := "f:" + strconv.Itoa(n+1) + ": missing t, op, p, type, f"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
