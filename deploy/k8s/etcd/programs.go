//go:build programs

// Package etcd names etcd's program, so that go.mod and go.sum pin all that it needs.
package etcd

import _ "go.etcd.io/etcd/server/v3"
