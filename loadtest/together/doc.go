// Package together runs the load testers of the three workloads: one after another,
// to hold this machine against the table of Nguyen, Yang, Chien, "Motivating High
// Performance Serverless Workloads" (HiPS '21, doi:10.1145/3452413.3464786), and at
// once, to see whether each keeps its contract beside the others.
//
// Each tester is a process of its own, started like a user starts it, and tells its
// result as JSON; so nothing here can help one of them.
package together
