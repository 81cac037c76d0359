package rdb

import (
	"encoding/binary"
)

// The body of an RDB file is a sequence of keys with their values, and of what
// concerns those behind it: each begins with an opcode, or with the type of a value.
//
//	SELECTDB n │ RESIZEDB keys volatile │ EXPIRETIME_MS at │ type key value │ type key value │ …
const (
	opSlotInfo     = 244 // what a slot holds, in a cluster
	opFunction     = 245
	opFunctionOld  = 246 // of release candidates of 7.0
	opModuleAux    = 247
	opIdle         = 248
	opFrequency    = 249
	opAux          = 250
	opResizeDB     = 251
	opExpireMillis = 252
	opExpire       = 253 // in seconds
	opSelectDB     = 254
	opEnd          = 255
)

// A Key is what stands before a value. It is reused for the next.
type Key struct {
	Database int
	Name     []byte // borrowed until the next key
	Deadline int64  // in Unix milliseconds, 0 for none
	// Idle is for how many seconds the key was not used, and Frequency how often it was,
	// on a logarithmic scale; -1 if that is not said.
	Idle      int64
	Frequency int
	Type      Type
}

// databasesMax bounds the number of a database.
const databasesMax = 1 << 20

// A Body reads the body of a file. What is there beside keys goes to the functions
// that are set.
type Body struct {
	*Reader
	// Aux is told what the file says of itself, and Function the source of a library.
	Aux      func(name, value string) error
	Function func(source []byte) error
	// Resize is told how many keys the database has that follows, and how many of them
	// expire, so that room can be made. It is a hint of whoever has written the file.
	Resize func(keys, volatile uint64)

	key    Key
	name   []byte
	ended  bool
	valkey bool // types have the numbers of Valkey
}

// Next reads up to the next value, which the caller reads with Value; nil at the end.
// The body of a file ends with an opcode; that of bytes also with them.
func (b *Body) Next() (*Key, error) {
	k := &b.key
	k.Deadline, k.Idle, k.Frequency = 0, -1, -1
	for {
		if b.ended || b.src == nil && b.at == len(b.buf) {
			return nil, nil
		}
		op, err := b.Byte()
		if err != nil {
			return nil, err
		}
		switch op {
		case opEnd:
			b.ended = true
			return nil, nil
		case opSelectDB:
			n, err := b.Length()
			if err != nil {
				return nil, err
			}
			if n > databasesMax {
				return nil, corrupt("database %d at %d", n, b.Offset())
			}
			k.Database = int(n)
		case opExpireMillis:
			if k.Deadline, err = b.Millis(); err != nil {
				return nil, err
			}
			k.Deadline = max(k.Deadline, 1)
		case opExpire:
			four, err := b.take(4)
			if err != nil {
				return nil, err
			}
			k.Deadline = max(int64(int32(binary.LittleEndian.Uint32(four))), 1) * 1000
		case opIdle:
			n, err := b.Length()
			if err != nil {
				return nil, err
			}
			k.Idle = int64(min(n, idleMax))
		case opFrequency:
			n, err := b.Byte()
			if err != nil {
				return nil, err
			}
			k.Frequency = int(n)
		case opAux, opFunction, opFunctionOld, opResizeDB, opSlotInfo, opModuleAux:
			if err := b.beside(op); err != nil {
				return nil, err
			}
		default:
			at := b.Offset() - 1
			name, err := b.Text()
			if err != nil {
				if _, known := written(op); !known { // it may be no key at all
					err = unsupported("type %d at %d", op, at)
				}
				return nil, err
			}
			b.name = append(b.name[:0], name...)
			k.Name = b.name
			if k.Type, err = b.typeOf(op, at); err != nil {
				return nil, err
			}
			return k, nil
		}
	}
}

// valkeyHashByte is the type of Valkey 9 that has a number of Redis'.
const valkeyHashByte = byte(TypeHashMetadataPreGA)

// typeOf is the type that a byte before the key stands for.
func (b *Body) typeOf(op byte, at int64) (Type, error) {
	t, known := written(op)
	switch {
	case b.valkey && op == valkeyHashByte:
		return TypeHashValkey, nil
	case known:
		return t, nil
	case Type(op) == TypeModule || Type(op) == TypeModule2:
		return 0, unsupported("the value of the key %.64q is a module's (type %d at %d)", b.name, op, at)
	}
	return 0, unsupported("the key %.64q has a value of the unknown type %d at %d", b.name, op, at)
}

// Raw passes over the value instead of reading it, and returns the bytes that it consists
// of. They are borrowed until the next method is called.
func (b *Body) Raw() ([]byte, error) {
	b.kept = b.at
	err := b.skip(b.key.Type)
	raw := b.buf[b.kept:b.at:b.at]
	b.kept = -1
	return raw, err
}

// idleMax bounds the seconds for which a key was not used.
const idleMax = 1 << 40

// beside reads what is neither a key nor said of one.
func (b *Body) beside(op byte) error {
	switch op {
	case opAux:
		name, err := b.firstText()
		if err != nil {
			return err
		}
		value, err := b.Text()
		if err != nil || b.Aux == nil {
			return err
		}
		return b.Aux(string(name), string(value))
	case opFunction:
		source, err := b.Text()
		if err != nil || b.Function == nil {
			return err
		}
		return b.Function(source)
	case opResizeDB:
		keys, err := b.Length()
		if err != nil {
			return err
		}
		volatile, err := b.Length()
		if err == nil && b.Resize != nil {
			b.Resize(keys, volatile)
		}
		return err
	case opSlotInfo:
		for range 3 { // slot, keys, volatile keys
			if _, err := b.Length(); err != nil {
				return err
			}
		}
		return nil
	case opModuleAux:
		return b.skipModule()
	}
	return unsupported("opcode %d at %d", op, b.Offset())
}

// What a module has written is a sequence of these, so that who does not know the
// module can pass over it.
const (
	moduleEnd      = 0
	moduleSigned   = 1
	moduleUnsigned = 2
	moduleFloat    = 3
	moduleDouble   = 4
	moduleText     = 5
)

// skipModule passes over what a module keeps beside the keys.
func (b *Body) skipModule() error {
	if _, err := b.Length(); err != nil { // which module
		return err
	}
	for {
		kind, err := b.Length()
		if err != nil {
			return err
		}
		switch kind {
		case moduleEnd:
			return nil
		case moduleSigned, moduleUnsigned:
			_, err = b.Length()
		case moduleFloat:
			_, err = b.take(4)
		case moduleDouble:
			_, err = b.take(8)
		case moduleText:
			_, err = b.Text()
		default:
			err = corrupt("what a module has written at %d", b.Offset())
		}
		if err != nil {
			return err
		}
	}
}

// SelectDB says to which database the keys behind it belong.
func (w *Writer) SelectDB(n int) {
	w.buf = append(w.buf, opSelectDB)
	w.Length(uint64(n))
}
