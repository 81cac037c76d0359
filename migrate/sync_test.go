package migrate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"hyperkv/internal/rdb"
)

// Wherever the mark comes in pieces, the stream ends before it.
func TestUntilMark(t *testing.T) {
	mark := strings.Repeat("0123456789", 4)
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 39, 40, 41, 100, 4096, 70_000} {
		data := make([]byte, size)
		for i := range data {
			data[i] = mark[r.IntN(len(mark))] // much that looks like a mark
		}
		stream := append(append(append([]byte(nil), data...), mark...), "*1\r\n$4\r\nPING\r\n"...)
		for _, src := range []io.Reader{bytes.NewReader(stream), iotest.HalfReader(bytes.NewReader(stream)), iotest.OneByteReader(bytes.NewReader(stream))} {
			in := bufio.NewReaderSize(src, 64<<10)
			have, err := io.ReadAll(&untilMark{src: in, mark: []byte(mark)})
			if err != nil || !bytes.Equal(have, data) {
				t.Fatalf("%d bytes: %d were read, %v", size, len(have), err)
			}
			if rest, err := io.ReadAll(in); err != nil || string(rest) != "*1\r\n$4\r\nPING\r\n" {
				t.Fatalf("%d bytes: behind the mark there is %q, %v", size, rest, err)
			}
		}
		if _, err := io.ReadAll(&untilMark{src: bufio.NewReader(bytes.NewReader(stream[:size+39])), mark: []byte(mark)}); !errors.Is(err, errBroken) {
			t.Errorf("%d bytes without a mark: %v", size, err)
		}
	}
}

// What is not a dataset is an error that says what came.
func TestSyncRefused(t *testing.T) {
	const file = "REDIS0003\xfe\x00\x00\x01k\x01v\xff"
	mark := strings.Repeat("m", 40)
	f := func(word string, answers ...string) {
		t.Helper()
		keys := 0
		s := Sync{Address: Address{Host: answering(t, append([]string{"+OK\r\n", "-ERR Unrecognized REPLCONF option: rdb-only\r\n"}, answers...)...), Patience: 300 * time.Millisecond}}
		err := s.Copy(context.Background(), counting{&keys})
		if word == "" {
			if err != nil || keys != 1 {
				t.Errorf("%q: %d keys, %v", answers, keys, err)
			}
			return
		}
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v, want %q", answers, err, word)
		}
	}
	f("", "\n\n$17\r\n"+file+"*1\r\n$4\r\nPING\r\n")
	f("", "\n$EOF:"+mark+"\r\n"+file+mark)
	f("unknown command", "-ERR unknown command 'SYNC'\r\n")
	f("NOMASTERLINK", "\n-NOMASTERLINK Can't SYNC while not connected with my master\r\n")
	f(`"+CONTINUE"`, "+CONTINUE\r\n")
	f(`"$-1"`, "$-1\r\n")
	f(`"$EOF:short"`, "$EOF:short\r\n")
	f("before all was there", "$18\r\n"+file)
	f("before all was there", "$EOF:"+mark+"\r\n"+file+mark[:20])
	f("behind the end", "$19\r\n"+file+"xx")
	f("not an RDB file", "$EOF:"+mark+"\r\nnonsense that is long enough"+mark)
	f("closed the connection", "")
	if err := (Sync{Address: Address{Host: answering(t, "+OK\r\n", "+OK\r\n", "\n", "", ""), Patience: 200 * time.Millisecond}}).Copy(context.Background(), Nowhere{}); err == nil {
		t.Error("a server that says nothing has sent a dataset")
	}
	ctx, stop := context.WithCancelCause(context.Background())
	time.AfterFunc(50*time.Millisecond, func() { stop(errors.New("stopped")) })
	if err := (Sync{Address: Address{Host: answering(t, "+OK\r\n", "+OK\r\n", "\n", "", "")}}).Copy(ctx, Nowhere{}); err == nil || err.Error() != "stopped" {
		t.Error(err)
	}
}

type counting struct{ keys *int }

func (c counting) Key(*rdb.Key, []byte) error {
	*c.keys++
	return nil
}
func (c counting) Library([]byte) error { return nil }
func (c counting) End() error           { return nil }
