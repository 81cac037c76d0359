package server_test

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"hyperkv/engine/embedded"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

func TestTranscripts(t *testing.T) {
	one := familykit.Serve(t, map[string]string{"worker_threads": "1", "enable_debug_command": "yes"}, embedded.Families()...)
	three := familykit.Serve(t, map[string]string{"worker_threads": "3", "enable_debug_command": "local"}, embedded.Families()...)
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t, "--enable-module-command", "yes"), one, three)
}

var ask = testkit.Must

// fields of a map reply, which RESP2 flattens.
func fields(v resp.Value) map[string]resp.Value {
	m := make(map[string]resp.Value, len(v.Elems)/2)
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[v.Elems[i].Text()] = v.Elems[i+1]
	}
	return m
}

func texts(v resp.Value) []string {
	var all []string
	for _, e := range v.Elems {
		all = append(all, e.Text())
	}
	return all
}

func sortedTexts(v resp.Value) []string {
	all := texts(v)
	sort.Strings(all)
	return all
}

// tree shows arguments, one to a line, but for their names, which it appends to
// names. What 7.0 does not know is left out.
func tree(v resp.Value, indent string, names *[]string) string {
	var b strings.Builder
	for _, arg := range v.Elems {
		f := fields(arg)
		*names = append(*names, f["name"].Text())
		b.WriteString(indent + f["type"].Text())
		if token, ok := f["token"]; ok {
			fmt.Fprintf(&b, " token=%q", token.Text())
		}
		if k, ok := f["key_spec_index"]; ok {
			fmt.Fprintf(&b, " key=%d", k.Int)
		}
		if flags, ok := f["flags"]; ok {
			fmt.Fprintf(&b, " %v", sortedTexts(flags))
		}
		b.WriteString("\n" + tree(f["arguments"], indent+"  ", names))
	}
	return b.String()
}

// facts are what COMMAND DOCS says that can be compared, by full name.
func facts(docs resp.Value, into map[string]map[string]string) {
	for name, doc := range fields(docs) {
		f := fields(doc)
		var names []string
		arguments := tree(f["arguments"], "", &names)
		into[name] = map[string]string{
			"since": f["since"].Text(), "group": f["group"].Text(),
			"arguments": arguments, "names": strings.Join(names, " "),
			"deprecated since": f["deprecated_since"].Text(),
			"flags":            strings.Join(sortedTexts(f["doc_flags"]), " "),
			"history":          strings.Join(historyVersions(f["history"]), " "),
		}
		if subs, ok := f["subcommands"]; ok {
			facts(subs, into)
		}
	}
}

func historyVersions(v resp.Value) []string {
	var all []string
	for _, e := range v.Elems {
		all = append(all, e.Elems[0].Text())
	}
	sort.Strings(all)
	return all
}

// infos are what COMMAND INFO says, by full name.
func infos(all resp.Value, into map[string]map[string]string) {
	for _, v := range all.Elems {
		e := v.Elems
		var specs []string
		for _, spec := range e[8].Elems {
			f := fields(spec)
			specs = append(specs, fmt.Sprint(sortedTexts(f["flags"]), flat(f["begin_search"]), flat(f["find_keys"])))
		}
		into[e[0].Text()] = map[string]string{
			"arity":       fmt.Sprint(e[1].Int),
			"flags":       strings.Join(sortedTexts(e[2]), " "),
			"legacy keys": fmt.Sprint(e[3].Int, e[4].Int, e[5].Int),
			"categories":  strings.Join(sortedTexts(e[6]), " "),
			"tips":        strings.Join(sortedTexts(e[7]), " "),
			"key specs":   strings.Join(specs, "\n"),
		}
		infos(e[9], into)
	}
}

func flat(v resp.Value) string {
	if len(v.Elems) == 0 {
		if v.Kind == resp.KindInt {
			return fmt.Sprint(v.Int)
		}
		return v.Text()
	}
	var parts []string
	for _, e := range v.Elems {
		parts = append(parts, flat(e))
	}
	return strings.Join(parts, " ")
}

// TestAgainstRedis compares what COMMAND and COMMAND DOCS say of every command
// that both servers have, except where differences says why it must be so.
func TestAgainstRedis(t *testing.T) {
	judge := testkit.Redis(t).Dial(t)
	defer judge.Close()
	ask(t, judge, "HELLO", "3")
	ours, err := familykit.NewEngine(t, nil, embedded.Families()...).NewClient()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()

	want, got := map[string]map[string]string{}, map[string]map[string]string{}
	facts(ask(t, judge, "COMMAND", "DOCS"), want)
	facts(ask(t, ours, "COMMAND", "DOCS"), got)
	compare(t, want, got)
	clear(want)
	clear(got)
	infos(ask(t, judge, "COMMAND"), want)
	infos(ask(t, ours, "COMMAND"), got)
	compare(t, want, got)
	for key := range differences {
		if !seen[key] {
			t.Errorf("%s: no difference any more", key)
		}
	}
}

var seen = map[string]bool{}

func compare(t *testing.T, want, got map[string]map[string]string) {
	t.Helper()
	var names []string
	for name := range got {
		if want[name] != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for what, value := range want[name] {
			if got[name][what] == value {
				continue
			}
			if key := name + " " + what; differences[key] != "" {
				seen[key] = true
				continue
			}
			t.Errorf("%s: %s\nwant:\n%s\ngot:\n%s", name, what, value, got[name][what])
		}
	}
}
