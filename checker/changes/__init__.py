"""The pages of changes: lists, trees and downloads of a kept comparison."""
