package shard

// Do runs f under the shard's turn and returns when it has. Any goroutine that holds no
// turn may call it.
func (s *Shard) Do(f func()) {
	j := &doJob{f: f, over: make(chan struct{})}
	s.Post(&j.Node, j)
	<-j.over
}

type doJob struct {
	Node
	f    func()
	over chan struct{}
}

// RunOn implements Job.
func (j *doJob) RunOn(*Shard) {
	j.f()
	close(j.over)
}

// Exclusive runs functions with the turns of all shards. It belongs to one goroutine,
// which holds no turn.
type Exclusive struct {
	set  *Set
	txn  Transaction
	call Call
	over chan struct{}
}

// NewExclusive makes one.
func (set *Set) NewExclusive() *Exclusive {
	x := &Exclusive{set: set, over: make(chan struct{}, 1)}
	x.txn.Shards = set.Shards
	x.txn.Done = func() { x.over <- struct{}{} }
	return x
}

// Run runs f and returns when it has. The call is bound to all shards; long keeps f off
// event loops.
func (x *Exclusive) Run(long bool, f func(c *Call)) {
	x.txn.Long = long
	x.txn.Body = func() {
		x.call.Bind(x.set, x.set.Shards...)
		f(&x.call)
	}
	x.set.Submit(&x.txn)
	<-x.over
}
