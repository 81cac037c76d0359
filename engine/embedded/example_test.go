package embedded_test

import (
	"fmt"
	"log"
	"os"
	"sort"
	"time"

	"hyperkv/engine/embedded"
)

// A whole server inside the program, without a socket.
func Example() {
	kv, err := embedded.Open(map[string]string{"worker_threads": "4"})
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()

	if err := kv.Set("greeting", []byte("hello")); err != nil {
		log.Fatal(err)
	}
	value, found, err := kv.Get("greeting")
	fmt.Printf("%s %v %v\n", value, found, err)

	_ = kv.SetFor("session:1", []byte("alice"), time.Hour)
	ttl, _, _ := kv.TTL("session:1")
	fmt.Println(ttl > 59*time.Minute)

	n, err := kv.Delete("greeting", "nothing")
	fmt.Println(n, err)
	// Output:
	// hello true <nil>
	// true
	// 1 <nil>
}

// What is kept in a directory is there when it is opened again.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "kept")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 3 {
		kv, err := embedded.Open(map[string]string{"data_dir": dir, "aof_fsync_policy": "always"})
		if err != nil {
			log.Fatal(err)
		}
		starts, err := kv.Do("INCR", "starts")
		fmt.Println(starts.Int, err)
		if err := kv.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}

// Do runs any command of Redis.
func ExampleKV_Do() {
	kv, err := embedded.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()

	reply, err := kv.Do("INCRBY", "counter", "41")
	fmt.Println(reply, err)
	reply, err = kv.Do("INCR", "counter")
	fmt.Println(reply.Int, err)
	_, err = kv.Do("INCR")
	fmt.Println(err)
	// Output:
	// (integer) 41 <nil>
	// 42 <nil>
	// ERR wrong number of arguments for 'incr' command
}

// Scan visits the keys a few at a time, while others go on writing.
func ExampleKV_Scan() {
	kv, err := embedded.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()

	for _, name := range []string{"user:2", "user:1", "order:7"} {
		_ = kv.Set(name, nil)
	}
	var users []string
	err = kv.Scan("user:*", func(key string) bool {
		users = append(users, key)
		return true
	})
	sort.Strings(users)
	fmt.Println(users, err)
	// Output: [user:1 user:2] <nil>
}

// A Client is a session of its own, for transactions: EXEC answers null when a
// watched key has changed, and the program tries again.
func ExampleKV_Client() {
	kv, err := embedded.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()

	c, err := kv.Client()
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	for {
		_, _ = c.Do("WATCH", "balance")
		_, _ = c.Do("MULTI")
		_, _ = c.Do("INCRBY", "balance", "10")
		_, _ = c.Do("SET", "updated", "yes")
		reply, err := c.Do("EXEC")
		if err != nil {
			log.Fatal(err)
		}
		if !reply.Null {
			fmt.Println(reply.Elems[0], reply.Elems[1])
			break
		}
	}
	// Output: (integer) 10 OK
}
