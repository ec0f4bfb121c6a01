// Package scenarios runs experiments: it binds a system under test, a load, a fault with its recovery, a history and the
// checkers into trials, cells and the matrix. It knows worlds only by the interface World; main passes them in.
// It neither starts processes (scenarios/cluster does) nor prints (reports does).
package scenarios
