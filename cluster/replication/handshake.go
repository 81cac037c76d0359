package replication

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"hyperkv/resp"
)

// What a replica says before the stream comes.

// command sends one and reads the reply, which is a line.
func (l *link) command(args ...string) (string, error) {
	if err := l.write(resp.AppendCommandString(nil, args...)); err != nil {
		return "", err
	}
	return l.line()
}

// introduce says who this server is.
func (l *link) introduce(settings Settings) error {
	reply, err := l.command("PING")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(reply, "+") && !strings.HasPrefix(reply, "-NOAUTH") && !strings.HasPrefix(reply, "-NOPERM") &&
		!strings.HasPrefix(reply, "-ERR operation not permitted") && !strings.HasPrefix(reply, "-LOADING") && !strings.HasPrefix(reply, "-MASTERDOWN") {
		return fmt.Errorf("PING was answered with %q", reply)
	}
	if password := settings.String("masterauth"); password != "" {
		auth := []string{"AUTH", password}
		if user := settings.String("masteruser"); user != "" {
			auth = []string{"AUTH", user, password}
		}
		if reply, err = l.command(auth...); err != nil {
			return err
		}
		if reply[0] == '-' {
			return fmt.Errorf("AUTH was answered with %q", reply)
		}
	}
	port := int(settings.Int("replica-announce-port"))
	if port == 0 {
		port = l.node.o.Port()
	}
	about := [][]string{{"listening-port", strconv.Itoa(port)}}
	if host := settings.String("replica-announce-ip"); host != "" {
		about = append(about, []string{"ip-address", host})
	}
	about = append(about, []string{"capa", "eof", "capa", "psync2", "capa", "hyperkv"}, []string{"version", redisVersion})
	for _, words := range about {
		reply, err := l.command(append([]string{"REPLCONF"}, words...)...)
		if err != nil {
			return err
		}
		if reply[0] == '-' {
			if strings.HasPrefix(reply, "-NOAUTH") || strings.HasPrefix(reply, "-NOPERM") {
				return fmt.Errorf("REPLCONF was answered with %q", reply)
			}
			l.node.log.Debug("the primary does not understand REPLCONF", "option", words[0], "reply", reply)
		}
	}
	return nil
}

// redisVersion is what primaries are told.
const redisVersion = "7.4.0"

// fullSync is a snapshot that the primary is about to send.
type fullSync struct {
	history  string
	position int64
}

// ask asks the primary to go on where this server is, or else for everything.
func (l *link) ask() (*fullSync, error) {
	f := l.node.feed
	f.mu.Lock()
	history, position := f.history, f.position
	none := f.last == nil && position == 0 // nobody else can have it
	// The primary may go on in the middle, without saying in which database.
	l.database = max(f.database, 0)
	f.mu.Unlock()
	args := []string{"PSYNC", history, strconv.FormatInt(position+1, 10)}
	if none {
		args = []string{"PSYNC", "?", "-1"}
	}
	if l.failover {
		args = append(args, "FAILOVER")
	}
	reply, err := l.command(args...)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(reply)
	switch {
	case words[0] == "+FULLRESYNC" && len(words) >= 3 && len(words[1]) == len(noHistory):
		position, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil || position < 0 {
			return nil, fmt.Errorf("PSYNC was answered with %q", reply)
		}
		return &fullSync{history: words[1], position: position}, nil
	case words[0] == "+CONTINUE" && !none:
		l.node.log.Info("the primary goes on where this server is", "primary", address(l.host, l.port), "position", position)
		if len(words) > 1 && len(words[1]) == len(noHistory) && words[1] != history {
			f.mu.Lock()
			f.rename(words[1])
			f.mu.Unlock()
			l.node.disconnect("the history has a new name")
		}
		f.mu.Lock()
		f.open()
		f.mu.Unlock()
		return nil, nil
	}
	return nil, refusal(fmt.Sprintf("%s was answered with %q", args[0], reply))
}

// refusal is what the primary has answered to PSYNC.
type refusal string

func (r refusal) Error() string { return string(r) }

func isRefusal(err error) bool {
	var r refusal
	return errors.As(err, &r)
}
