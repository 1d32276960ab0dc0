// Package service runs the trigger in a server: with settings of its own, admitted
// beside the server's other functions, its records from a feed.
//
// Without a detector the feed is synthetic: an arena is filled beforehand by the
// simulated detector (package detector), and its records fall due by the processor's
// clock, over and over. A program that has a detector gives a Feed of its own.
package service
